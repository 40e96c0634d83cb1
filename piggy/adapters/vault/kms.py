"""Key-encryption keys in a key service: HashiCorp Vault's transit engine over HTTP, or what speaks like it.

Each tenant has a key of its own there, `piggy-<tenant>-<kek_id>`, which never leaves it. Opened data keys are kept for
a while (F-28), so that running sessions outlive a short absence; past that everything is refused.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Callable

import httpx

from piggy.adapters.vault.envelope import UnableToOpen, UnableToReachKeys

CACHED_S_MAX = 15 * 60
CACHED_KEYS_MAX = 10_000
TIMEOUT_S = 3.0


class KmsKeys:
    """`clock` gives monotonic seconds; `token` authenticates us and is sent in a header only."""

    def __init__(self, *, url: str, token: str, kek_id: str, clock: Callable[[], float]) -> None:
        self._http = httpx.Client(base_url=url.rstrip("/"), headers={"X-Vault-Token": token}, timeout=TIMEOUT_S)
        self._kek_id = kek_id
        self._clock = clock
        self._lock = threading.Lock()
        self._opened: dict[bytes, tuple[float, bytes]] = {}

    def current(self) -> str:
        """Return the id of the key that seals new records."""
        return self._kek_id

    def wrap(self, *, tenant: str, kek_id: str, data_key: bytes, bound_to: bytes) -> bytes:
        """Return the data key as the service encrypted it. Raises UnableToReachKeys."""
        body = {"plaintext": _text(data_key), "associated_data": _text(bound_to)}
        answer = self._ask("encrypt", tenant, kek_id, body)
        if answer.status_code != httpx.codes.OK:
            raise UnableToReachKeys(f"The key service answered {answer.status_code}.")
        return str(answer.json()["data"]["ciphertext"]).encode()

    def unwrap(self, *, tenant: str, kek_id: str, wrapped: bytes, bound_to: bytes) -> bytes:
        """Return the data key, from memory where it was opened lately. Raises UnableToReachKeys, UnableToOpen."""
        # The cache must be as choosy as the service: the same bytes asked for elsewhere are another question.
        name = hashlib.sha256(b"\x1f".join((tenant.encode(), kek_id.encode(), bound_to, wrapped))).digest()
        with self._lock:
            until, data_key = self._opened.get(name, (0.0, b""))
        if self._clock() < until:
            return data_key
        body = {"ciphertext": wrapped.decode("ascii", "replace"), "associated_data": _text(bound_to)}
        answer = self._ask("decrypt", tenant, kek_id, body)
        if answer.status_code in (httpx.codes.BAD_REQUEST, httpx.codes.NOT_FOUND):
            raise UnableToOpen("The record does not open.")
        if answer.status_code != httpx.codes.OK:
            raise UnableToReachKeys(f"The key service answered {answer.status_code}.")
        data_key = base64.b64decode(answer.json()["data"]["plaintext"])
        with self._lock:
            if len(self._opened) >= CACHED_KEYS_MAX:
                self._opened.clear()
            self._opened[name] = (self._clock() + CACHED_S_MAX, data_key)
        return data_key

    def _ask(self, verb: str, tenant: str, kek_id: str, body: dict[str, str]) -> httpx.Response:
        try:
            return self._http.post(f"/v1/transit/{verb}/piggy-{tenant}-{kek_id}", json=body)
        except httpx.HTTPError as error:
            raise UnableToReachKeys(f"The key service is away: {type(error).__name__}") from None


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
