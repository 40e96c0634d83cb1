"""A statement against our record: every class of break is found, and nothing that is none (INV-22)."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from random import Random

from msgspec.structs import replace

from piggy.core.orders import Side
from piggy.core.reconciliation import BreakKind, Execution, Tolerance, breaks

DAY = date(2026, 11, 20)
SEEDED = 50


def executions(count: int) -> list[Execution]:
    chance = Random(22)
    return [
        Execution(
            reference=f"E{at}",
            symbol=chance.choice(["EURUSD", "USDJPY"]),
            side=chance.choice(list(Side)),
            quantity=Decimal(chance.randrange(1, 500)) / 100,
            price=Decimal(chance.randrange(100_000, 120_000)) / 100_000,
            traded_on=DAY - timedelta(days=chance.randrange(3)),
            fee=Decimal(chance.randrange(100)) / 100,
        )
        for at in range(count)
    ]


def as_told(ours: list[Execution]) -> list[Execution]:
    return [replace(each, line=at) for at, each in enumerate(ours, start=2)]


def found(ours: list[Execution], theirs: list[Execution]) -> list[tuple[BreakKind, str]]:
    made = breaks(ours=ours, theirs=theirs, tolerance=Tolerance(price=Decimal("0.00001")))
    return [(each.kind, each.reference) for each in made]


def test_a_clean_statement_has_no_breaks_in_whatever_order() -> None:
    ours = executions(2_000)
    theirs = as_told(ours)
    Random(1).shuffle(theirs)
    assert found(ours, theirs) == []


def test_inv_22_fifty_seeded_breaks_of_each_class_are_found_and_no_other() -> None:
    ours = executions(1_000)
    theirs = {line.reference: line for line in as_told(ours)}
    chance, seeded = Random(350), set()
    picked = iter(chance.sample(sorted(theirs), SEEDED * len(BreakKind)))
    doubles = []
    for kind in BreakKind:
        for _ in range(SEEDED):
            name = next(picked)
            line = theirs[name]
            seeded.add((kind, name))
            if kind is BreakKind.MISSING_HERE:
                ours = [each for each in ours if each.reference != name]
            elif kind is BreakKind.MISSING_THERE:
                del theirs[name]
            elif kind is BreakKind.QUANTITY:
                theirs[name] = replace(line, quantity=line.quantity + Decimal("0.01"))
            elif kind is BreakKind.PRICE:
                theirs[name] = replace(line, price=line.price - Decimal("0.00002"))
            elif kind is BreakKind.FEE:
                theirs[name] = replace(line, fee=Decimal("2.5"))
            elif kind is BreakKind.DATE:
                theirs[name] = replace(line, traded_on=line.traded_on + timedelta(days=1))
            else:
                doubles.append(line)
    told = found(ours, [*theirs.values(), *doubles])
    assert set(told) == seeded and len(told) == len(seeded) == 350
    assert Counter(kind for kind, _ in told) == dict.fromkeys(BreakKind, SEEDED)


def test_what_is_within_tolerance_or_unsaid_is_no_break() -> None:
    (mine,) = executions(1)
    assert found([mine], [replace(mine, price=mine.price + Decimal("0.00001"), fee=None)]) == []
    assert found([replace(mine, fee=None)], [mine]) == []
    assert found([mine], [replace(mine, fee=(mine.fee or Decimal(0)) + Decimal("0.01"))]) == []


def test_a_line_may_have_several_breaks_and_one_of_another_side_is_no_match() -> None:
    (mine,) = executions(1)
    both = replace(mine, quantity=mine.quantity * 2, price=mine.price * 2)
    assert [kind for kind, _ in found([mine], [both])] == [BreakKind.QUANTITY, BreakKind.PRICE]
    turned = replace(mine, side=mine.side.contra, line=7)
    here, there = breaks(ours=[mine], theirs=[turned], tolerance=Tolerance())
    assert (here.kind, here.ours, here.line) == (BreakKind.MISSING_HERE, "", 7)
    assert there.kind is BreakKind.MISSING_THERE and there.ours.startswith(mine.side.value)


def test_a_duplicate_of_what_we_never_heard_of_is_one_too() -> None:
    (stranger,) = executions(1)
    assert [kind for kind, _ in found([], [stranger, stranger])] == [BreakKind.MISSING_HERE, BreakKind.DUPLICATE]
