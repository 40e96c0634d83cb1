"""A statement against our record: every class of break is found, and nothing that is none (INV-22)."""

from __future__ import annotations

import os
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from random import Random

from msgspec.structs import replace

from piggy.core.orders import Side
from piggy.core.reconciliation import (
    BreakKind,
    Execution,
    Holding,
    Ours,
    Tolerance,
    breaks,
    cash_moved,
    held_breaks,
    net_lots,
)

DAY = date(2026, 11, 20)
SEEDED = int(os.environ.get("BREAKS_OF_A_KIND", "50"))
HELD = (BreakKind.POSITION, BreakKind.CASH)
OF_LINES = tuple(kind for kind in BreakKind if kind not in HELD)


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
            order=f"O{at}",
        )
        for at in range(count)
    ]


def as_told(ours: list[Execution]) -> list[Execution]:
    return [replace(each, line=at) for at, each in enumerate(ours, start=2)]


def found(ours: list[Execution], theirs: list[Execution]) -> list[tuple[BreakKind, str]]:
    orders = {line.order for line in theirs if not line.order.startswith("X")}
    made = breaks(ours=ours, theirs=theirs, tolerance=Tolerance(price=Decimal("0.00001")), known_as=Ours(orders=orders))
    return [(each.kind, each.reference) for each in made]


def test_a_clean_statement_has_no_breaks_in_whatever_order() -> None:
    ours = executions(2_000)
    theirs = as_told(ours)
    Random(1).shuffle(theirs)
    assert found(ours, theirs) == []


def test_inv_22_fifty_seeded_breaks_of_each_class_are_found_and_no_other() -> None:
    ours = executions(20 * SEEDED)
    theirs = {line.reference: line for line in as_told(ours)}
    chance, seeded = Random(350), set()
    picked = iter(chance.sample(sorted(theirs), SEEDED * len(OF_LINES)))
    doubles = []
    for kind in OF_LINES:
        for _ in range(SEEDED):
            name = next(picked)
            line = theirs[name]
            seeded.add((kind, name))
            if kind in (BreakKind.MISSING_HERE, BreakKind.UNKNOWN_FILL):
                theirs[name] = replace(line, order=line.order if kind is BreakKind.MISSING_HERE else f"X{name}")
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
    assert set(told) == seeded and len(told) == len(seeded) == SEEDED * len(OF_LINES)
    assert Counter(kind for kind, _ in told) == dict.fromkeys(OF_LINES, SEEDED)


def days_of(names: int) -> list[Execution]:
    """Some executions in each of many symbols, each symbol in a currency of its own, in their order."""
    chance = Random(23)
    return [
        Execution(
            reference=f"{name}-{at}",
            symbol=f"S{name}",
            side=chance.choice(list(Side)),
            quantity=Decimal(chance.randrange(1, 500)) / 100,
            price=Decimal(chance.randrange(100_000, 120_000)) / 100_000,
            traded_on=DAY + timedelta(days=at - 4),
            fee=Decimal(chance.randrange(100)) / 100,
        )
        for at in range(5)
        for name in range(names)
    ]


def terms(symbol: str) -> tuple[Decimal, str]:
    return Decimal(100_000), f"C{symbol}"


def naive_cash(lines: list[Execution], since: date) -> Fraction:
    """Return what one symbol's executions made, by fractions: an average price and what is closed against it."""
    lots, average, made = Fraction(0), Fraction(0), Fraction(0)
    for each in lines:
        signed = Fraction(each.quantity) * each.side.sign
        closed = min(abs(lots), abs(signed)) if lots * signed < 0 else Fraction(0)
        profit = closed * (Fraction(each.price) - average) * (1 if lots > 0 else -1) * 100_000
        if each.traded_on >= since:
            made += profit - Fraction(each.fee or 0)
        if lots * signed >= 0:
            average = (average * abs(lots) + Fraction(each.price) * abs(signed)) / (abs(lots) + abs(signed))
        elif abs(signed) > abs(lots):
            average = Fraction(each.price)
        lots += signed
    return made


def test_inv_22_positions_and_cash_are_what_the_executions_add_up_to_and_fifty_seeded_breaks_of_each_are_found() -> (
    None
):
    names, chance, since = 4 * SEEDED, Random(24), DAY - timedelta(days=1)
    lines = days_of(names)
    lots = net_lots(executions=lines)
    moved, count = cash_moved(executions=lines, since=since, terms=terms)
    for name in range(names):
        mine = [line for line in lines if line.symbol == f"S{name}"]
        assert lots.get(f"S{name}", 0) == sum(line.side.sign * line.quantity for line in mine)
        assert abs(Fraction(moved[f"CS{name}"]) - naive_cash(mine, since)) < Fraction(1, 10**12)
        assert count[f"CS{name}"] == 2
    for kind, ours, step in ((HELD[0], lots, Decimal("0.01")), (HELD[1], moved, Decimal("0.03"))):
        room = {name: Decimal("0.02") for name in ours} if kind is BreakKind.CASH else {}
        theirs = [
            Holding(name=name, amount=amount + room.get(name, 0), stated_on=DAY, line=at)
            for at, (name, amount) in enumerate(ours.items(), start=2)
        ]
        compared = {"kind": kind, "ours": ours, "stated_on": DAY, "tolerance": room}
        assert held_breaks(theirs=theirs, **compared) == (), "a clean statement"
        spoilt = set(chance.sample(sorted(ours), SEEDED))
        bad = [replace(each, amount=ours[each.name] - step) if each.name in spoilt else each for each in theirs]
        found = held_breaks(theirs=bad, **compared)
        assert {each.symbol for each in found} == spoilt and len(found) == SEEDED
        assert {each.kind for each in found} == {kind}


def test_a_holding_that_one_side_alone_has_is_a_break_and_a_venue_that_states_none_is_not_compared() -> None:
    said = [Holding(name="EURUSD", amount=Decimal(1), stated_on=DAY, line=7)]
    compared = {"kind": BreakKind.POSITION, "stated_on": DAY}
    (theirs, ours) = held_breaks(ours={"USDJPY": Decimal(-2)}, theirs=said, **compared)
    assert (theirs.symbol, theirs.ours, theirs.theirs, theirs.line) == ("EURUSD", "0", "1", 7)
    assert (ours.symbol, ours.ours, ours.theirs, ours.line) == ("USDJPY", "-2", "", 0)
    assert held_breaks(ours={"USDJPY": Decimal(-2)}, theirs=[], **compared) == ()
    again = [*said, replace(said[0], amount=Decimal(3), line=8)]
    assert held_breaks(ours={"EURUSD": Decimal(3)}, theirs=again, **compared) == ()


def test_what_fits_no_order_of_ours_is_an_unknown_fill_and_a_lost_one_of_an_order_of_ours_is_missing() -> None:
    (line,) = executions(1)

    def kinds(known_as: Ours, said: Execution = line) -> list[BreakKind]:
        return [each.kind for each in breaks(ours=[], theirs=[said], tolerance=Tolerance(), known_as=known_as)]

    assert kinds(Ours()) == [BreakKind.UNKNOWN_FILL]
    assert kinds(Ours(orders={line.order})) == [BreakKind.MISSING_HERE]
    assert kinds(Ours(orders={line.order}, suspended={line.reference})) == [BreakKind.UNKNOWN_FILL]
    assert kinds(Ours(), replace(line, order="")) == [BreakKind.MISSING_HERE], "the statement names no orders"


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


def test_inv_22_a_reference_that_a_venue_gave_anew_each_day_is_matched_by_day_and_is_no_duplicate() -> None:
    (first,) = executions(1)
    later = replace(first, traded_on=first.traded_on + timedelta(days=1), price=first.price * 2)
    assert found([first, later], [later, first]) == found([first, later], [first, later]) == []
    assert found([first, later], [first, first, later]) == [(BreakKind.DUPLICATE, first.reference)]
    assert found([first, later], [later]) == [(BreakKind.MISSING_THERE, first.reference)]
    third = replace(first, traded_on=first.traded_on + timedelta(days=2))
    assert found([first], [first, third]) == [(BreakKind.DUPLICATE, first.reference)]
    assert found([later], [first]) == [(BreakKind.PRICE, first.reference), (BreakKind.DATE, first.reference)]


def test_a_duplicate_of_what_we_never_heard_of_is_one_too() -> None:
    (stranger,) = executions(1)
    assert [kind for kind, _ in found([], [stranger, stranger])] == [BreakKind.MISSING_HERE, BreakKind.DUPLICATE]
