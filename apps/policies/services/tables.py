"""Policies as tables: what is live taken away as CSV, and drafts brought in from one, all of its rows or none.

A column is an input's path with dots: `bands.0.bid`. Blank cells are left out, as in the form. Nothing is written
before every row is found usable; what is live already, or waits as the same draft, is not written again.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError
from django.db import transaction

from apps.common.documents import plain_cell, safe_cell
from apps.policies import selectors
from apps.policies.models import NAMED_BY, STRUCTS, Policy
from apps.policies.services.bodies import gathered, leaves, nodes_of
from apps.policies.services.drafts import check_draft, save_draft
from apps.policies.services.wording import split

REASON = "reason"
BODY = "body"
ROWS_MAX = 2_000
CHARACTERS_MAX = 2_000_000
FAULTS_MAX = 200
# Of a list in a body there are at most so many.
INDEX = re.compile(r"\.1?\d{1,2}\.")


class Fault(NamedTuple):
    """A cell that cannot be used: the row as a spreadsheet counts it, its column, and what would be right."""

    row: int
    field: str
    text: str


class UnableToImport(Exception):
    """Nothing was written; `faults` name each row, field and limit and may be shown to staff."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(f"row {row}, {field}: {text}" for row, field, text in faults[:3]))
        self.faults = faults


class Brought(NamedTuple):
    """What an import came to."""

    drafts: list[Policy]
    unchanged: int


def as_table(*, kind: str, policies: Iterable[Policy]) -> str:
    """Return policies of one kind as a table that `bring` takes; columns that no row fills are left out."""
    named = _named(kind)
    rows = [({name: getattr(each, name) for name in named}, _cells(kind, each.body), each.reason) for each in policies]
    columns = sorted({name for _, cells, _ in rows for name in cells} or set(_known(kind)), key=_natural)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([*named, *columns, REASON])
    for names, cells, reason in rows:
        values = [*names.values(), *(cells.get(column, "") for column in columns), reason]
        writer.writerow([safe_cell(text=value) for value in values])
    return out.getvalue()


def bring(*, kind: str, text: str, by: str, reason: str) -> Brought:
    """Write a draft for each row that says something new; `reason` stands where a row gives none.

    Raises UnableToImport with every fault found, and then nothing is written.
    """
    rows = _read(kind, text)
    faults: list[Fault] = []
    drafts: list[Policy] = []
    seen: dict[tuple[str, ...], int] = {}
    for number, row in rows:
        policy = _policy(kind, row, reason)
        found = _faults(policy, number)
        names = tuple(policy.named.values())
        if names in seen:
            found.append(Fault(number, ", ".join(_named(kind)) or "kind", f"The same policy is in row {seen[names]}."))
        seen.setdefault(names, number)
        faults += found
        if not found and not _is_known(policy):
            drafts.append(policy)
    if faults:
        raise UnableToImport(faults[:FAULTS_MAX])
    with transaction.atomic():
        return Brought([save_draft(policy=policy, by=by) for policy in drafts], len(rows) - len(drafts))


def _read(kind: str, text: str) -> list[tuple[int, dict[str, str]]]:
    if len(text) > CHARACTERS_MAX:
        raise UnableToImport([Fault(1, "file", f"At most {CHARACTERS_MAX} characters.")])
    if "\0" in text:
        raise UnableToImport([Fault(text.count("\n", 0, text.index("\0")) + 1, "file", "It holds a zero byte.")])
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    try:
        lines = list(reader)
    except csv.Error as error:
        raise UnableToImport([Fault(reader.line_num, "file", f"{error}.")]) from error
    heads = [head.strip() for head in lines[0]] if lines else []
    usable = {*_named(kind), *_known(kind), REASON}
    faults = [
        Fault(1, head or f"column {at}", "There is no such column." if heads.count(head) == 1 else "It stands twice.")
        for at, head in enumerate(heads, start=1)
        if INDEX.sub(".0.", head) not in usable or heads.count(head) > 1
    ]
    faults += [Fault(1, name, "This column is missing.") for name in _named(kind) if name not in heads]
    rows = [(at, line) for at, line in enumerate(lines[1:], start=2) if any(cell.strip() for cell in line)]
    uneven = [(at, len(row)) for at, row in rows if len(row) != len(heads)]
    faults += [Fault(at, "row", f"It has {cells} cells, not {len(heads)}.") for at, cells in uneven]
    if len(rows) > ROWS_MAX:
        faults.append(Fault(len(lines), "file", f"At most {ROWS_MAX} rows."))
    if faults:
        raise UnableToImport(faults[:FAULTS_MAX])
    return [(at, dict(zip(heads, (plain_cell(text=cell.strip()) for cell in row), strict=True))) for at, row in rows]


def _policy(kind: str, row: Mapping[str, str], reason: str) -> Policy:
    names = {name: row[name] for name in _named(kind)}
    cells = {head: cell for head, cell in row.items() if head not in (*names, REASON)}
    data = {f"{BODY}-{head.replace('.', '-')}": cell for head, cell in cells.items()}
    body = gathered(struct=STRUCTS[kind], data=data, path=BODY)
    return Policy(kind=kind, body=body, reason=row.get(REASON) or reason, **names)


def _faults(policy: Policy, number: int) -> list[Fault]:
    try:
        check_draft(policy=policy)
        policy.full_clean(exclude=["version"], validate_unique=False, validate_constraints=False)
    except ValidationError as error:
        return [_placed(number, field, text) for field, texts in error.message_dict.items() for text in texts]
    return []


def _placed(number: int, field: str, text: str) -> Fault:
    """Return the fault of a body under the column that the core names, one of the row under its own."""
    if field != BODY:
        return Fault(number, field, text)
    path, said = split(text=text)
    return Fault(number, re.sub(r"\[(\d+)\]", r".\1", path) or BODY, said)


def _is_known(policy: Policy) -> bool:
    """Does the policy say what is live, or what the latest draft says?"""
    waiting = Policy.objects.filter(**policy.named, state=Policy.State.DRAFT).order_by("-version").first()
    bodies = [selectors.live_body(**policy.named), waiting.body if waiting else None]
    return any(body is not None and _meaning(policy, body) == _meaning(policy, policy.body) for body in bodies)


def _meaning(policy: Policy, body: Mapping[str, Any]) -> Any:
    return Policy(**policy.named, body=body, version=1).to_core()


def _cells(kind: str, body: Mapping[str, Any]) -> dict[str, str]:
    shown = leaves(nodes=nodes_of(struct=STRUCTS[kind], body=body, path=BODY))
    return {_column(path): value for path, value in shown if value}


def _known(kind: str) -> list[str]:
    return [_column(path) for path, _ in leaves(nodes=nodes_of(struct=STRUCTS[kind], body={}, path=BODY))]


def _column(path: str) -> str:
    return path.removeprefix(f"{BODY}-").replace("-", ".")


def _named(kind: str) -> list[str]:
    return [name for name, kinds in NAMED_BY if kind in kinds]


def _natural(column: str) -> list[tuple[int, int, str]]:
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in column.split(".")]
