"""`any_of` finds what `in` finds, of texts and of numbers, and nothing where nothing is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from apps.treasury.models import GlAccount, JournalEntry


def test_any_of_finds_what_in_finds(acorn: Any, as_tenant: Any) -> None:
    with as_tenant("acorn"):
        codes = {*GlAccount.objects.values_list("code", flat=True)}
        some = {*sorted(codes)[:2], "nobody's"}
        assert len(codes) > 2
        for asked in (codes, some, set()):
            found = set(GlAccount.objects.filter(code__any_of=asked).values_list("code", flat=True))
            assert (
                found == set(GlAccount.objects.filter(code__in=asked).values_list("code", flat=True)) == codes & asked
            )


@pytest.mark.parametrize("seqs", [[], [1, 2, 2**40]])
def test_any_of_takes_numbers_too(acorn: Any, as_tenant: Any, seqs: list[int]) -> None:
    with as_tenant("acorn"):
        assert list(JournalEntry.objects.filter(seq__any_of=seqs)) == []
