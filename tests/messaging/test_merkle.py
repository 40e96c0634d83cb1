"""The log's tree: heads as RFC 9162 defines them, and proofs that hold for what is there and for nothing else."""

from __future__ import annotations

import hashlib

import pytest

from piggy.messaging.merkle import Tree, consistency_proof, inclusion_proof, is_consistent, is_included, root_of

# The eight leaves and the heads of the published test vectors of Certificate Transparency.
LEAVES = [
    bytes.fromhex(each)
    for each in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
HEADS = {
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}
ENTRIES = [hashlib.sha256(bytes([number])).digest() for number in range(33)]


@pytest.mark.parametrize("size", HEADS)
def test_heads_are_those_of_the_published_vectors(size: int) -> None:
    assert root_of(entries=LEAVES[:size]).hex() == HEADS[size]


def naive_root(entries: list[bytes]) -> bytes:
    """The definition, word by word."""
    if not entries:
        return hashlib.sha256(b"").digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    split = 1
    while split * 2 < len(entries):
        split *= 2
    return hashlib.sha256(b"\x01" + naive_root(entries[:split]) + naive_root(entries[split:])).digest()


def test_a_growing_tree_has_the_head_of_the_definition_at_every_size() -> None:
    tree = Tree()
    for size, entry in enumerate(ENTRIES):
        assert tree.root() == naive_root(ENTRIES[:size])
        tree = Tree(size=tree.size, frontier=tree.frontier)
        tree.add(entry=entry)


def test_every_entry_is_proven_to_be_in_every_tree_and_no_other_entry_is() -> None:
    for size in range(1, len(ENTRIES) + 1):
        root = root_of(entries=ENTRIES[:size])
        for index in range(size):
            proof = inclusion_proof(entries=ENTRIES[:size], index=index)
            assert is_included(entry=ENTRIES[index], index=index, size=size, proof=proof, root=root)
            assert not is_included(entry=b"forged", index=index, size=size, proof=proof, root=root)
            assert not is_included(entry=ENTRIES[index], index=index + 1, size=size, proof=proof, root=root)


def test_every_tree_is_proven_to_begin_with_every_earlier_one_and_with_no_other() -> None:
    forged = root_of(entries=[b"forged", *ENTRIES[1:]])
    for later in range(1, len(ENTRIES) + 1):
        head = root_of(entries=ENTRIES[:later])
        for size in range(1, later + 1):
            root, proof = root_of(entries=ENTRIES[:size]), consistency_proof(entries=ENTRIES[:later], size=size)
            assert is_consistent(size=size, root=root, later_size=later, later_root=head, proof=proof)
            assert not is_consistent(size=size, root=forged, later_size=later, later_root=head, proof=proof)
            assert not is_consistent(size=size, root=root, later_size=later, later_root=forged, proof=proof)


def test_a_proof_shows_nothing_of_trees_of_other_sizes() -> None:
    """Where it goes on past the root of the size that is claimed, or that size is none; and it comes to an end."""
    two, eight = root_of(entries=ENTRIES[:2]), root_of(entries=ENTRIES[:8])
    right = inclusion_proof(entries=ENTRIES[:2], index=1)
    assert is_included(entry=ENTRIES[1], index=1, size=2, proof=right, root=two)
    assert not is_included(entry=ENTRIES[1], index=0, size=1, proof=right, root=two)
    seven, proof = root_of(entries=ENTRIES[:7]), consistency_proof(entries=ENTRIES[:8], size=7)
    known = {"root": seven, "later_root": eight, "proof": proof}
    assert is_consistent(size=7, later_size=8, **known)
    for size, later in ((3, 4), (0, 8), (-1, 8), (8, 7)):
        assert not is_consistent(size=size, later_size=later, **known)
    assert not is_consistent(size=7, root=seven, later_size=8, later_root=eight, proof=[])
