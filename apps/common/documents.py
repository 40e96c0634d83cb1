"""A report as data: sections of a table and a chart each, and the files that people take away: CSV, XLSX and PDF.

Figures are exact text everywhere: a spreadsheet's numbers are binary fractions. No cell is a formula.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString

from apps.common.charts import Chart, svg

# A spreadsheet takes these for the start of a formula.
FORMULA = ("=", "+", "@", "\t", "\r")
FIGURE = re.compile(r"^[+-]?[\d, ]*\.?\d+ ?%?\*?$")
SHEET_NAME_MAX = 31


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
    def columns(self) -> list[tuple[str, bool]]:
        """Each head, and whether its column holds figures."""
        return [
            (head, any(row[at] for row in self.rows) and all(_is_figure(row[at]) for row in self.rows))
            for at, head in enumerate(self.heads)
        ]

    @property
    def cells(self) -> list[list[tuple[str, bool]]]:
        """The rows, each cell with whether its column holds figures."""
        figures = [is_figure for _, is_figure in self.columns]
        return [list(zip(row, figures, strict=True)) for row in self.rows]


class Document(NamedTuple):
    """A report: its title, what it is about, and its sections."""

    title: str
    sections: tuple[Section, ...]
    note: str = ""

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
        writer.writerows([_safe(value) for value in row] for row in section.rows)
    return out.getvalue().encode()


def as_xlsx(document: Document) -> bytes:
    """Return a workbook with a sheet a section."""
    import xlsxwriter

    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}) as book:
        bold = book.add_format({"bold": True})
        for at, section in enumerate(document.sections, start=1):
            name = re.sub(r"[\[\]:*?/\\']", " ", section.title)[: SHEET_NAME_MAX - 3]
            sheet = book.add_worksheet(f"{at} {name}" if len(document.sections) > 1 else name)
            for column, head in enumerate(section.heads):
                sheet.write_string(0, column, head, bold)
            for line, row in enumerate(section.rows, start=1):
                for column, value in enumerate(row):
                    sheet.write_string(line, column, value)
            sheet.freeze_panes(1, 0)
            sheet.autofit()
    return out.getvalue()


def as_pdf(document: Document) -> bytes:
    """Return the document as it is printed, charts and tables."""
    # Its import takes seconds, which no other request should pay.
    from weasyprint import HTML

    return bytes(HTML(string=printed(document=document, at=timezone.now())).write_pdf())


def printed(*, document: Document, at: datetime) -> str:
    """Return the page that a PDF is made of."""
    return render_to_string("common/printed.html", {"document": document, "at": at})


def _is_figure(text: str) -> bool:
    return not text or FIGURE.match(text.replace("\u2212", "-")) is not None


def _safe(value: str) -> str:
    is_formula = value.startswith(FORMULA) or (value.startswith("-") and not value[1:2].isdigit())
    return f"'{value}" if is_formula else value


FORMATS: dict[str, tuple[str, Callable[[Document], bytes]]] = {
    "csv": ("text/csv; charset=utf-8", as_csv),
    "xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", as_xlsx),
    "pdf": ("application/pdf", as_pdf),
}
