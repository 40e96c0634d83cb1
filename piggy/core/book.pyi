import numpy as np
import numpy.typing as npt

Event = tuple[int, int, int, int, int, int]
Resting = tuple[int, int, int, int, int]

class UnableToChangeBook(Exception): ...

class Book:
    def __init__(self, *, capacity: int = 1024) -> None: ...
    def submit(
        self,
        *,
        order_id: int,
        side: int,
        price: int,
        qty: int,
        flags: int = 0,
        owner: int = 0,
        stp: int = 0,
        display: int = 0,
        minimum: int = 0,
    ) -> list[Event]: ...
    def cancel(self, *, order_id: int) -> list[Event]: ...
    def amend(self, *, order_id: int, price: int, qty: int) -> list[Event]: ...
    def run(
        self,
        *,
        op: npt.NDArray[np.int8],
        order_id: npt.NDArray[np.int64],
        side: npt.NDArray[np.int8],
        price: npt.NDArray[np.int64],
        qty: npt.NDArray[np.int64],
        flags: npt.NDArray[np.int32] | None = None,
        owner: npt.NDArray[np.int64] | None = None,
        stp: npt.NDArray[np.int8] | None = None,
        display: npt.NDArray[np.int64] | None = None,
        minimum: npt.NDArray[np.int64] | None = None,
    ) -> npt.NDArray[np.int64]: ...
    def walk(
        self,
        *,
        side: int,
        price: int,
        qty: int,
        flags: int = 0,
        owner: int = 0,
        stp: int = 0,
        order_id: int = 0,
        minimum: int = 0,
    ) -> list[Event]: ...
    def add(
        self,
        *,
        order_id: int,
        side: int,
        price: int,
        qty: int,
        flags: int = 0,
        owner: int = 0,
        stp: int = 0,
        display: int = 0,
        shown: int = 0,
    ) -> None: ...
    def take(self, *, order_id: int, qty: int) -> None: ...
    def shrink(self, *, order_id: int, leaves: int) -> None: ...
    def remove(self, *, order_id: int) -> int: ...
    def __len__(self) -> int: ...
    def __contains__(self, order_id: int) -> bool: ...
    def best(self, *, side: int) -> tuple[int, int] | None: ...
    def depth(self, *, side: int, levels: int = 10) -> list[tuple[int, int, int]]: ...
    def queue(self, *, side: int, limit: int = -1) -> list[Resting]: ...
    def order(self, *, order_id: int) -> Resting | None: ...
