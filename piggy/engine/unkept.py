"""What of a tenant's log could not be kept beside it, and why: for probes, figures and the alerts of the desk."""

from __future__ import annotations

SNAPSHOT, WITNESS = "snapshot", "witness"


class Unkept:
    """One of an engine process, over all its terms. Each stands until it is kept, or the tenant is no more ours.

    Another thread may write while one reads.
    """

    def __init__(self) -> None:
        self._texts: dict[tuple[str, str], str] = {}

    def failed(self, *, tenant: str, name: str, text: str) -> None:
        """Note that `name` could not be written."""
        self._texts[tenant, name] = text

    def kept(self, *, tenant: str, name: str) -> None:
        """Note that `name` is written, or that there is nothing to write."""
        self._texts.pop((tenant, name), None)

    def of(self, *, tenant: str) -> dict[str, str]:
        """Return why each is not kept, by its name."""
        return {name: text for (owner, name), text in list(self._texts.items()) if owner == tenant}

    def names(self) -> list[str]:
        """Return all as tenant/name."""
        return sorted(f"{tenant}/{name}" for tenant, name in list(self._texts))
