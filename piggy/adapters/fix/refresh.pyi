from collections.abc import Mapping
from typing import Protocol

class Book(Protocol):
    entries: dict[str, tuple[str, str, str]]
    at: str

class Refresher:
    faults: list[str]
    def __init__(
        self,
        *,
        books: Mapping[str, Book],
        ours: dict[str, str],
        spot_units: dict[str, str],
        symbol_tag: str,
        entries_max: int,
    ) -> None: ...
    def take(self, text: str) -> tuple[set[str], int]: ...
