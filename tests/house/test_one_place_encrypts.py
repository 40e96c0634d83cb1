"""E-12: one module encrypts; every key and algorithm stands in the inventory; secrets are compared in constant time."""

from __future__ import annotations

import ast
import re

from tests.house.tidy import ROOT, sources

ENCRYPTS = "piggy/adapters/vault/envelope.py"
HEADS = "piggy/messaging/tree_heads.py"  # Signs the heads of the event log's tree; encrypts nothing.
SEALS = "apps/gateway/worker/tls.py"  # Seals FIX clients' lines with the operator's certificate; has no key of its own.
SIGNS = {
    ENCRYPTS,
    "piggy/messaging/signing.py",
    "piggy/messaging/context.py",
    "piggy/adapters/mt5/agent.py",  # Copied alone to another machine.
    "piggy/adapters/signing.py",  # What venues ask of every request.
    "piggy/engine/proofs.py",  # Proves signals; the fast path of signing.py.
    "apps/tenants/backend/guard.py",  # In SQL: the database checks what context.py signed.
}
CIPHERS = {"cryptography", "Crypto", "Cryptodome", "nacl", "ssl", "jwt", "jose"}


def _imports(tree: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_only_one_module_encrypts() -> None:
    found = [source.name for source in sources("piggy", "apps") if _imports(source.tree) & CIPHERS]
    assert set(found) == {ENCRYPTS, HEADS, SEALS}


def test_only_the_signing_modules_make_macs_and_derive_keys() -> None:
    calls = re.compile(r"\bhmac\.|\bHMAC\b|pbkdf2_hmac|hashlib\.scrypt|HKDF\(")
    assert {source.name for source in sources("piggy", "apps") if calls.search(source.text)} <= SIGNS


def test_the_inventory_names_every_key_of_the_environment() -> None:
    inventory = (ROOT / "piggy/adapters/vault/README.md").read_text()
    named = {
        name
        for source in sources("piggy/settings", "piggy/adapters/vault", "piggy/engine")
        for name in re.findall(r"\"(PIGGY_\w*(?:KEY|KEKS|KEK_FILE))\"", source.text)
    }
    assert {name for name in named if name not in inventory and not name.startswith("PIGGY_KMS")} == set()
    assert "manage.py rotate_keys" in inventory
