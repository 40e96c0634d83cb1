"""Macs: only the right one passes, whatever stands in its place, and nobody compares one by hand."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from piggy.adapters.signing import mac, mac_matches
from piggy.local import environment, keys

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("given", ["", "0", "\u00e9" * 64, "\ud800", "right"])
def test_only_the_right_mac_passes(given: str):
    """E-08."""
    right = mac(secret="s", text="text")
    wanted = given == "right"
    assert mac_matches(secret="s", text="text", given=right if wanted else given) is wanted
    assert not mac_matches(secret="s", text="text", given=right.upper())
    assert not mac_matches(secret="t", text="text", given=right)


def test_a_mac_is_never_compared_by_hand():
    """E-08: `==` stops at the first wrong character, and its time tells how many were right."""
    by_hand = []
    for path in [*(ROOT / "piggy").rglob("*.py"), *(ROOT / "apps").rglob("*.py")]:
        text = path.read_text()
        for node in ast.walk(ast.parse(text)) if "mac" in text or "sign" in text else ():
            if isinstance(node, ast.Compare) and any(isinstance(one, ast.Eq | ast.NotEq) for one in node.ops):
                sides = [ast.unparse(one) for one in (node.left, *node.comparators)]
                if any(re.search(r"(^|[._])(mac|macs|sign|signature|hmac)(\(|$)", side) for side in sides):
                    by_hand.append(f"{path.name}:{node.lineno} {' ? '.join(sides)}")
    assert by_hand == []


def test_every_secret_that_we_make_has_256_bits():
    """E-08: keys of an installation, its passwords, and the demo's of its LPs."""
    assert len(keys.password()) == 2 * 32
    seeding = (ROOT / "apps" / "demo" / "services" / "seeding.py").read_text()
    made = [int(size) for size in re.findall(r"^PASSWORD_BYTES = (\d+)$", seeding, re.MULTILINE)]
    assert len(made) == 1
    assert min(environment.KEY_BYTES, keys.PASSWORD_BYTES, *made) * 8 >= 256
    assert len({keys.password() for _ in range(50)}) == 50
