"""A report as data: sections of a table and a chart each, and the files that people take away: CSV, XLSX and PDF.

Figures are exact everywhere: what a spreadsheet's binary fraction cannot say stays text. No cell is a formula.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString

from apps.common.charts import Chart, grouped, svg

# A spreadsheet takes these for the start of a formula, some of them in their wide form too.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
NUMBER = re.compile(r"^[+-]?\d+(\.\d+)?$")
FIGURE = re.compile(r"^[+-]?[\d, ]*\.?\d+ ?%?\*?( \(\d+\))?$")
SHEET_NAME_MAX = 31
SHEET_HEADER_MAX = 120
A4 = 9
# What a printed page has room for: A4 across without its margins, a cell's padding, a digit, words unbroken.
PAGE_PT, PADDING_PT, LETTER_EM, WORD_MAX = 762, 6, 0.66, 14
TYPE_PT, TYPE_PT_MIN = 9.0, 4.0
# A double holds this many significant digits of any decimal; so many are shown behind the point.
FIGURES_EXACT = 15
DIGITS = range(11)
PLACES_MAX = 4
NOTHING = "\u2013"


class Section(NamedTuple):
    """One table with what it says and, where people would rather look, a chart; rows are as long as `heads`."""

    title: str
    heads: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    note: str = ""
    chart: Chart | None = None

    @property
    def drawn(self) -> SafeString:
        """The chart as SVG, nothing where there is none."""
        return svg(chart=self.chart) if self.chart else SafeString("")

    @property
    def type_pt(self) -> str:
        """How large the type of the printed table is, so that its figures, which never break, find room on a page."""
        heads = [max(map(len, head.split()), default=0) for head in self.heads]
        longest = [0] * len(heads)
        for row in self.shown:
            longest = [max(most, len(text)) for most, (text, _) in zip(longest, row, strict=True)]
        widths = [
            max(head, most if is_figure else min(most, WORD_MAX))
            for head, most, (_, is_figure) in zip(heads, longest, self.columns, strict=True)
        ]
        room_pt = PAGE_PT - PADDING_PT * len(widths)
        return f"{min(TYPE_PT, max(TYPE_PT_MIN, room_pt / (LETTER_EM * max(1, sum(widths))))):.1f}"

    @property
    def columns(self) -> list[tuple[str, bool]]:
        """Each head, and whether its column holds figures."""
        return [
            (head, bool(self.rows) and all(_is_figure(row[at]) for row in self.rows))
            for at, head in enumerate(self.heads)
        ]

    @property
    def cells(self) -> list[list[tuple[str, bool]]]:
        """The rows, each cell with whether its column holds figures."""
        figures = [is_figure for _, is_figure in self.columns]
        return [list(zip(row, figures, strict=True)) for row in self.rows]

    @property
    def shown(self) -> list[list[tuple[str, bool]]]:
        """The cells as people read them: figures point under point, thousands apart, a dash where there is none."""
        columns = zip(*self.rows, strict=True)
        places = [_places(column) for column in columns]
        return [
            [
                (grouped(text=_padded(value, places[at])) or NOTHING if figure else value, figure)
                for at, (value, figure) in enumerate(row)
            ]
            for row in self.cells
        ]


class Document(NamedTuple):
    """A report: its title, its sections, what it is about, and whose it is."""

    title: str
    sections: tuple[Section, ...]
    note: str = ""
    house: str = ""

    @property
    def size(self) -> int:
        """How many rows it has."""
        return sum(len(section.rows) for section in self.sections)


def as_csv(document: Document) -> bytes:
    """Return the tables one under the other; with several, each under its title."""
    out = io.StringIO()
    writer = csv.writer(out)
    for at, section in enumerate(document.sections):
        if len(document.sections) > 1:
            writer.writerows([[], [section.title]] if at else [[section.title]])
        writer.writerow(section.heads)
        writer.writerows([safe_cell(text=value) for value in row] for row in section.rows)
    return out.getvalue().encode()


def as_xlsx(document: Document) -> bytes:
    """Return a workbook with a sheet a section; a figure that a spreadsheet's number says exactly is a number."""
    import xlsxwriter

    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}) as book:
        book.set_properties({"title": document.title, "company": document.house, "comments": document.note})
        heads = [book.add_format({"bold": True, "align": side}) for side in ("left", "right")]
        right = book.add_format({"align": "right"})
        figures = [book.add_format({"num_format": "#,##0" + f".{'0' * digits}" * bool(digits)}) for digits in DIGITS]
        for at, section in enumerate(document.sections, start=1):
            name = re.sub(r"[\[\]:*?/\\']", " ", section.title)[: SHEET_NAME_MAX - 3]
            sheet = book.add_worksheet(f"{at} {name}" if len(document.sections) > 1 else name)
            for column, (head, is_figure) in enumerate(section.columns):
                sheet.write_string(0, column, head, heads[is_figure])
            for line, cells in enumerate(section.cells, start=1):
                for column, (value, is_figure) in enumerate(cells):
                    if is_figure and _is_exact(value):
                        sheet.write_number(line, column, float(value), figures[len(value.partition(".")[2])])
                    else:
                        sheet.write_string(line, column, value, right if is_figure else None)
            sheet.freeze_panes(1, 0)
            sheet.autofilter(0, 0, max(1, len(section.rows)), len(section.heads) - 1)
            sheet.autofit()
            _to_print(sheet, document, section)
    return out.getvalue()


def _to_print(sheet: Any, document: Document, section: Section) -> None:
    """Lay a sheet out for paper as the PDF is: all columns on a page, the heads on each, what and whose it is."""
    sheet.set_landscape()
    sheet.set_paper(A4)
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(0)
    says = " · ".join(part for part in (document.house, document.title, section.title) if part)
    # An ampersand begins a code there, and longer is refused.
    sheet.set_header(f"&L{says[:SHEET_HEADER_MAX].replace('&', '&&')}")
    sheet.set_footer("&R&P of &N")


def as_pdf(document: Document) -> bytes:
    """Return the document as it is printed, charts and tables; whatever its texts say, nothing is fetched for it."""
    # Its import takes seconds, which no other request should pay.
    from weasyprint import HTML
    from weasyprint.urls import URLFetcher

    page = printed(document=document, at=timezone.now())
    return bytes(HTML(string=page, url_fetcher=URLFetcher(allowed_protocols=())).write_pdf())


def printed(*, document: Document, at: datetime) -> str:
    """Return the page that a PDF is made of."""
    return render_to_string("common/printed.html", {"document": document, "at": at})


def _read(text: str) -> str:
    return grouped(text=text) or NOTHING


def _places(column: Sequence[str]) -> int:
    """Return how many digits stand behind the point in a column; none where it holds prices of many symbols."""
    most = max((len(text.partition(".")[2]) for text in column if NUMBER.match(text)), default=0)
    return most if most <= PLACES_MAX else 0


def _padded(text: str, places: int) -> str:
    if not places or not NUMBER.match(text):
        return text
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.ljust(places, '0')}"


def _is_figure(text: str) -> bool:
    return not text or FIGURE.match(text.replace("\u2212", "-")) is not None


def safe_cell(*, text: str) -> str:
    """Return a cell of CSV that no spreadsheet takes for a formula; a plain number stays one."""
    return f"'{text}" if _is_formula(text) else text


def plain_cell(*, text: str) -> str:
    """Return what a cell said before it was made safe."""
    return text[1:] if text.startswith("'") and _is_formula(text[1:]) else text


def _is_exact(text: str) -> bool:
    """Does a binary fraction say the same, to all its digits? Leading zeros would be lost, so they are text."""
    if not NUMBER.match(text) or re.match(r"^[+-]?0\d", text):
        return False
    digits = text.lstrip("+-")
    return len(digits.replace(".", "").lstrip("0")) <= FIGURES_EXACT and len(digits.partition(".")[2]) < len(DIGITS)


def _is_formula(text: str) -> bool:
    return text.startswith(FORMULA) and not NUMBER.match(text)


FORMATS: dict[str, tuple[str, Callable[[Document], bytes]]] = {
    "csv": ("text/csv; charset=utf-8", as_csv),
    "xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", as_xlsx),
    "pdf": ("application/pdf", as_pdf),
}
