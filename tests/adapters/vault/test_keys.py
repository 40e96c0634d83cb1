"""Where keys come from: a file, the environment, or a key service that may be away."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from piggy.adapters.vault import envelope, kms
from piggy.adapters.vault.config import keys_from_env
from piggy.adapters.vault.envelope import Place, UnableToOpen, UnableToReachKeys
from piggy.adapters.vault.kms import CACHED_S_MAX, KmsKeys

KEYS = json.dumps({"current": "k1", "keys": {"k1": "ab" * 32}})
PLACE = Place(tenant="acorn", table="credential", column="sealed", row="1", version=1)


class Transit(BaseHTTPRequestHandler):
    """The key service's two calls, in its documented form."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        verb, name = self.path.split("/")[3:]
        key = envelope.tenant_key(root=b"\x07" * 32, kek_id="service", tenant=name)
        bound_to = base64.b64decode(body["associated_data"])
        if self.headers["X-Vault-Token"] != "let me in":
            return self._say(403, {})
        if verb == "encrypt":
            wrapped = envelope.wrap_key(kek=key, data_key=base64.b64decode(body["plaintext"]), bound_to=bound_to)
            return self._say(200, {"ciphertext": "vault:v1:" + base64.b64encode(wrapped).decode()})
        try:
            wrapped = base64.b64decode(body["ciphertext"].removeprefix("vault:v1:"))
            plain = envelope.unwrap_key(kek=key, wrapped=wrapped, bound_to=bound_to)
        except (UnableToOpen, ValueError):
            return self._say(400, {})
        return self._say(200, {"plaintext": base64.b64encode(plain).decode()})

    def _say(self, status: int, data: dict[str, str]) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps({"data": data}).encode())

    def log_message(self, *_args: object) -> None: ...


@pytest.fixture
def service() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Transit)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_keys_come_from_exactly_one_place(tmp_path: Path) -> None:
    path = tmp_path / "keks.json"
    path.write_text(KEYS)
    for env in ({"PIGGY_KEK_FILE": str(path)}, {"PIGGY_KEKS": KEYS}):
        assert keys_from_env(env).current() == "k1"
    for env in ({}, {"PIGGY_KEK_FILE": str(path), "PIGGY_KEKS": KEYS}, {"PIGGY_KEK_FILE": str(tmp_path / "none")}):
        with pytest.raises(UnableToReachKeys):
            keys_from_env(env)


def test_a_key_service_seals_and_opens_for_one_tenant(service: ThreadingHTTPServer, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("let me in\n")
    url = f"http://127.0.0.1:{service.server_port}"
    env = {"PIGGY_KMS_URL": url, "PIGGY_KMS_TOKEN_FILE": str(tmp_path / "token"), "PIGGY_KMS_KEY": "2026"}
    keys = keys_from_env(env)
    sealed = envelope.seal(keys=keys, place=PLACE, secret=b"secret")
    assert envelope.unseal(keys=keys_from_env(env), place=PLACE, sealed=sealed) == b"secret"
    with pytest.raises(UnableToReachKeys, match="PIGGY_KMS_KEY"):
        keys_from_env(env | {"PIGGY_KMS_KEY": ""})
    wrapped = keys.wrap(tenant="acorn", kek_id="2026", data_key=b"d" * 32, bound_to=b"x")
    # Once without and once with the opened key at hand, which is nobody else's and of no other place.
    for _ in range(2):
        for tenant, kek_id, bound_to in (("birch", "2026", b"x"), ("acorn", "2026", b"y"), ("acorn", "2025", b"x")):
            with pytest.raises(UnableToOpen):
                keys.unwrap(tenant=tenant, kek_id=kek_id, wrapped=wrapped, bound_to=bound_to)
        assert keys.unwrap(tenant="acorn", kek_id="2026", wrapped=wrapped, bound_to=b"x") == b"d" * 32


def test_with_the_service_away_opened_keys_live_a_quarter_of_an_hour_and_then_all_is_refused(
    service: ThreadingHTTPServer,
) -> None:
    """F-28, E-05."""
    now_s = [0.0]
    keys = KmsKeys(url=f"http://127.0.0.1:{service.server_port}", token="let me in", kek_id="k", clock=lambda: now_s[0])
    sealed, other = (envelope.seal(keys=keys, place=PLACE, secret=text) for text in (b"secret", b"other"))
    assert envelope.unseal(keys=keys, place=PLACE, sealed=sealed) == b"secret"
    service.shutdown()
    service.server_close()
    assert envelope.unseal(keys=keys, place=PLACE, sealed=sealed) == b"secret"
    with pytest.raises(UnableToReachKeys):
        envelope.unseal(keys=keys, place=PLACE, sealed=other)
    with pytest.raises(UnableToReachKeys):
        envelope.seal(keys=keys, place=PLACE, secret=b"new")
    now_s[0] = CACHED_S_MAX + 1
    with pytest.raises(UnableToReachKeys):
        envelope.unseal(keys=keys, place=PLACE, sealed=sealed)


def test_opened_keys_take_no_memory_without_end(service: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kms, "CACHED_KEYS_MAX", 2)
    keys = KmsKeys(url=f"http://127.0.0.1:{service.server_port}", token="let me in", kek_id="k", clock=lambda: 0.0)
    for number in range(5):
        sealed = envelope.seal(keys=keys, place=PLACE, secret=b"%d" % number)
        assert envelope.unseal(keys=keys, place=PLACE, sealed=sealed) == b"%d" % number
        assert len(keys._opened) <= 2


def test_of_a_key_that_was_taken_away_the_service_says_404_and_a_record_does_not_open(
    service: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = KmsKeys(url=f"http://127.0.0.1:{service.server_port}", token="let me in", kek_id="k", clock=lambda: 0.0)
    sealed = envelope.seal(keys=keys, place=PLACE, secret=b"secret")
    monkeypatch.setattr(Transit, "do_POST", lambda self: self._say(404, {}))
    with pytest.raises(UnableToOpen):
        envelope.unseal(keys=keys, place=PLACE, sealed=sealed)


@pytest.mark.parametrize("name", ["", "k" * 65, "schlüssel"])
def test_a_key_has_a_short_and_plain_name(name: str) -> None:
    """It is written into every record, its length in one byte."""
    with pytest.raises(UnableToReachKeys, match="short and plain"):
        keys_from_env({"PIGGY_KEKS": json.dumps({"current": name, "keys": {name: "ab" * 32}})})


def test_a_stranger_to_the_service_gets_nothing(service: ThreadingHTTPServer) -> None:
    keys = KmsKeys(url=f"http://127.0.0.1:{service.server_port}", token="wrong", kek_id="k", clock=lambda: 0.0)
    with pytest.raises(UnableToReachKeys) as caught:
        envelope.seal(keys=keys, place=PLACE, secret=b"secret")
    assert "wrong" not in str(caught.value)
