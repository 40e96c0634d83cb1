"""The Merkle tree of RFC 9162 over a log's event hashes: heads, and proofs that anybody can check with the head alone.

A tree that only grows is kept as its frontier: the roots of its perfect subtrees, largest first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

HASH_BYTES = 32


class Tree:
    """A growing tree. `size` leaves so far; the frontier is all it needs."""

    def __init__(self, *, size: int = 0, frontier: bytes = b"") -> None:
        assert len(frontier) == size.bit_count() * HASH_BYTES, "a frontier has one root for each bit of the size"
        self.size = size
        self._roots = [frontier[at : at + HASH_BYTES] for at in range(0, len(frontier), HASH_BYTES)]

    @property
    def frontier(self) -> bytes:
        return b"".join(self._roots)

    def add(self, *, entry: bytes) -> None:
        """Append one leaf."""
        node, size = leaf_hash(entry=entry), self.size
        while size & 1:
            node, size = _node(self._roots.pop(), node), size >> 1
        self._roots.append(node)
        self.size += 1

    def root(self) -> bytes:
        """Return the head's hash (32 bytes); of an empty tree that of nothing."""
        if not self._roots:
            return hashlib.sha256(b"").digest()
        node = self._roots[-1]
        for left in reversed(self._roots[:-1]):
            node = _node(left, node)
        return node


def leaf_hash(*, entry: bytes) -> bytes:
    """Return the hash of a leaf; its first byte keeps it apart from every inner node."""
    return hashlib.sha256(b"\x00" + entry).digest()


def root_of(*, entries: Iterable[bytes]) -> bytes:
    """Return the head's hash of a whole tree."""
    tree = Tree()
    for entry in entries:
        tree.add(entry=entry)
    return tree.root()


def inclusion_proof(*, entries: Sequence[bytes], index: int) -> list[bytes]:
    """Return the hashes that lead from leaf `index` (from 0) to the root of the tree of `entries`."""
    if len(entries) <= 1:
        return []
    split = _split(len(entries))
    if index < split:
        return [*inclusion_proof(entries=entries[:split], index=index), root_of(entries=entries[split:])]
    return [*inclusion_proof(entries=entries[split:], index=index - split), root_of(entries=entries[:split])]


def is_included(*, entry: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Return whether `proof` shows `entry` to be leaf `index` of the tree of `size` leaves under `root`."""
    if index >= size:
        return False
    node, last = leaf_hash(entry=entry), size - 1
    for other in proof:
        if last == 0:
            return False
        if index & 1 or index == last:
            node = _node(other, node)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            node = _node(node, other)
        index, last = index >> 1, last >> 1
    return last == 0 and node == root


def consistency_proof(*, entries: Sequence[bytes], size: int) -> list[bytes]:
    """Return the hashes that show the tree of the first `size` entries to be the beginning of the whole one."""
    assert 0 < size <= len(entries)
    return _subproof(entries, size, is_whole=True)


def is_consistent(*, size: int, root: bytes, later_size: int, later_root: bytes, proof: Sequence[bytes]) -> bool:
    """Return whether `proof` shows the later tree to begin with the earlier one."""
    if size == later_size:
        return root == later_root and not proof
    path = list(proof) if size & (size - 1) else [root, *proof]
    if not 0 < size < later_size or not path:
        return False
    index, last = size - 1, later_size - 1
    while index & 1:
        index, last = index >> 1, last >> 1
    before = after = path[0]
    for other in path[1:]:
        if last == 0:
            return False
        if index & 1 or index == last:
            before, after = _node(other, before), _node(other, after)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            after = _node(after, other)
        index, last = index >> 1, last >> 1
    return last == 0 and before == root and after == later_root


def _subproof(entries: Sequence[bytes], size: int, *, is_whole: bool) -> list[bytes]:
    if size == len(entries):
        return [] if is_whole else [root_of(entries=entries)]
    split = _split(len(entries))
    if size <= split:
        return [*_subproof(entries[:split], size, is_whole=is_whole), root_of(entries=entries[split:])]
    return [*_subproof(entries[split:], size - split, is_whole=False), root_of(entries=entries[:split])]


def _split(size: int) -> int:
    """Return the largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
