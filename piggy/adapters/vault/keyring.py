"""Key-encryption keys that this installation holds itself: root keys from a file or the environment."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from piggy.adapters.vault.envelope import KEY_BYTES, UnableToOpen, UnableToReachKeys, tenant_key, unwrap_key, wrap_key

KEK_ID_CHARACTERS_MAX = 64


class RootKeys(msgspec.Struct, frozen=True, kw_only=True):
    """`current` encrypts; every other key only decrypts, until it is taken out. Keys are 32 bytes in hex."""

    current: str
    keys: dict[str, str]


class LocalKeys:
    """Root keys in memory; a tenant's own key is derived from them."""

    def __init__(self, *, roots: Mapping[str, bytes], current: str) -> None:
        """Raise UnableToReachKeys where a key is no key or the current one is missing."""
        if current not in roots:
            raise UnableToReachKeys(f"The current key {current!r} is not among the keys.")
        for name, root in roots.items():
            if len(root) != KEY_BYTES or not name.isascii() or not 0 < len(name) <= KEK_ID_CHARACTERS_MAX:
                raise UnableToReachKeys(f"Key {name!r} must be {KEY_BYTES} bytes, its name short and plain.")
        self._roots = dict(roots)
        self._current = current
        # Derived once: a turnover opens and seals thousands of records of one tenant.
        self._derived: dict[tuple[str, str], bytes] = {}

    def current(self) -> str:
        """Return the id of the key that seals new records."""
        return self._current

    def wrap(self, *, tenant: str, kek_id: str, data_key: bytes, bound_to: bytes) -> bytes:
        """Return the data key encrypted by the tenant's current key; an old key encrypts nothing any more."""
        if kek_id != self._current:
            raise UnableToReachKeys(f"Key {kek_id!r} only decrypts.")
        return wrap_key(kek=self._key(tenant, kek_id), data_key=data_key, bound_to=bound_to)

    def unwrap(self, *, tenant: str, kek_id: str, wrapped: bytes, bound_to: bytes) -> bytes:
        """Return the data key. Raises UnableToOpen, also where the key was taken out."""
        if kek_id not in self._roots:
            raise UnableToOpen("The record does not open.")
        return unwrap_key(kek=self._key(tenant, kek_id), wrapped=wrapped, bound_to=bound_to)

    def _key(self, tenant: str, kek_id: str) -> bytes:
        if (tenant, kek_id) not in self._derived:
            self._derived[tenant, kek_id] = tenant_key(root=self._roots[kek_id], kek_id=kek_id, tenant=tenant)
        return self._derived[tenant, kek_id]


def local_keys(*, text: str, source: str) -> LocalKeys:
    """Read `{"current": "k1", "keys": {"k1": "<hex>"}}`. Raises UnableToReachKeys naming `source`, never a key."""
    try:
        read = msgspec.json.decode(text, type=RootKeys)
        roots = {name: bytes.fromhex(key) for name, key in read.keys.items()}
    except ValueError:
        raise UnableToReachKeys(f"{source} does not hold keys in the expected form.") from None
    return LocalKeys(roots=roots, current=read.current)
