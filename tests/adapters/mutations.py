"""Recorded messages with a field gone or replaced by what no venue should write, in every place."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, TypeVar

from hypothesis import strategies as st

from piggy.adapters.interface import (
    ReportKind,
    Reports,
    Response,
    Steps,
    UnableToConnect,
    UnableToReadReport,
    UnableToTranslate,
)
from piggy.core.commands import RecordVenueCorrection, RecordVenueFill
from tests.adapters.recorded import play

T = TypeVar("T")
GONE = object()
# What cannot be read whatever field it stands in, and what is a number but no price, size or time of any market.
BROKEN: tuple[Any, ...] = (GONE, None, "", "?", "NaN", "1_1", "١", [], {}, "1E+400", "9" * 500, "\ud800")
ODD: tuple[Any, ...] = (*BROKEN, True, "-1", 0, "1e-5", 10**90, 1e300)
# An error shorter than that names nothing.
TEXT_MIN = 5
NAMED = (UnableToReadReport, UnableToConnect, UnableToTranslate)


def places(doc: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Return the path of every value in a document, the whole of it first."""
    yield path
    if isinstance(doc, dict):
        for name, value in doc.items():
            yield from places(value, (*path, name))
    elif isinstance(doc, list):
        for number, value in enumerate(doc):
            yield from places(value, (*path, number))


def changed(doc: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return the document with another value in one place, or without it."""
    if not path:
        return None if value is GONE else value
    copy = dict(doc) if isinstance(doc, dict) else list(doc)
    if len(path) == 1 and value is GONE:
        del copy[path[0]]
    else:
        copy[path[0]] = value if len(path) == 1 else changed(doc[path[0]], path[1:], value)
    return copy


def every_mutation(docs: list[Any]) -> Iterator[tuple[list[Any], bool]]:
    """Return the documents with each value of each replaced by each oddity, and whether that is broken for sure."""
    for which, doc in enumerate(docs):
        for path in places(doc):
            for value in ODD:
                broken = list(docs)
                broken[which] = changed(doc, path, value)
                yield broken, any(value is one for one in BROKEN)


def several_mutations(docs: list[Any]) -> st.SearchStrategy[list[Any]]:
    """The documents changed in up to four places, by any JSON at all."""

    @st.composite
    def some(draw: st.DrawFn) -> list[Any]:
        broken = list(docs)
        for _ in range(draw(st.integers(1, 4))):
            which = draw(st.integers(0, len(docs) - 1))
            path = draw(st.sampled_from(list(places(broken[which]))))
            value = draw(
                st.sampled_from(ODD) | st.recursive(st.none() | st.booleans() | st.integers() | st.text(), _nest)
            )
            broken[which] = changed(broken[which], path, value)
        return broken

    return some()


def _nest(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)


def response_of(doc: Any) -> Response:
    """Return a 2xx answer with a document in it; what JSON cannot hold is a page of HTML."""
    return Response(status=200, text=json.dumps(doc) if doc is not None else "<html>it works</html>")


def talk(steps: Steps[T], docs: list[Any]) -> T:
    """Play a conversation with 2xx answers; one that asks for more than there is gets pages of HTML."""
    left = list(docs)
    response: Response | None = None
    while True:
        try:
            _ = next(steps) if response is None else steps.send(response)
        except StopIteration as stop:
            value: T = stop.value
            return value
        response = response_of(left.pop(0) if left else None)


def read_or_named(play: Callable[[], Reports]) -> Reports:
    """Return what was read, nothing where the adapter named what it could not read; anything else is raised."""
    try:
        return play()
    except NAMED as error:
        if len(str(error)) > TEXT_MIN:
            return ()
        raise


def facts(reports: Reports) -> set[tuple[Any, ...]]:
    """Return what reports would change in our books and in what we know of an order."""
    found: set[tuple[Any, ...]] = set()
    for report in (one.report for one in reports):
        command = report.command
        if isinstance(command, RecordVenueFill | RecordVenueCorrection):
            numbers = (command.quantity, command.price)
            assert all(isinstance(one, Decimal) and one.is_finite() and one > 0 for one in numbers), command
            assert command.cl_ord_id not in ("", "None", "True", "{}", "[]", "nan"), command
            found.add((report.kind, command.symbol, command.side, *numbers))
        elif report.kind in (ReportKind.DONE, ReportKind.STATUS, ReportKind.REJECT, ReportKind.BUST):
            assert report.cumulative.is_finite(), report
            assert report.cumulative >= 0, report
            found.add((report.kind, report.standing, report.cumulative))
    return found


def assert_survives(docs: list[Any], play: Callable[[list[Any]], Reports]) -> None:
    """Every single mutation is either named or read right: whatever is told was told of the sound documents too."""
    sound = facts(play(docs))
    for broken, is_broken in every_mutation(docs):
        told = facts(read_or_named(lambda: play(broken)))  # noqa: B023
        if is_broken:
            assert told <= sound, (broken, told - sound)


def assert_a_missing_page_settles_nothing(ask: Callable[[], Steps[Reports]], *, refusal: str) -> None:
    """A 404 says that there is no such order in the venue's own words only, not where something on the way says it."""
    for text, standings in (("<html>404</html>", []), ("{}", []), (refusal, ["unknown"])):
        said, _ = play(ask(), [Response(status=404, text=text)])
        assert [one.report.standing for one in said] == standings, text
