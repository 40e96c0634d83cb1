"""Charts as SVG, made here: bars side by side, for a page that is looked at and for one that is printed.

Colours are attributes and not styles, so that the strictest content policy draws them, and a printer too; text takes
the colour of its surroundings. What a colour says the figure beside it says as well.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

WIDTH = 640
ROW, GAP, TOP = 22, 6, 6
LABEL_WIDTH, FIGURE_WIDTH = 150, 90
COLUMNS_HEIGHT, FOOT = 150, 34
UP, DOWN, PLAIN = "#0f9d63", "#d6454f", "#4f83d1"
ROWS_MAX = 20
ZERO = Decimal(0)
WHOLE = re.compile(r"^([+-]?)(\d{4,})(?=$|[. ])")
THIN, MINUS = "\u2009", "\u2212"


class Chart(NamedTuple):
    """What to draw: a bar a label, lying (`columns` False) or standing; `signed` colours gain and loss apart."""

    title: str
    labels: tuple[str, ...]
    values: tuple[Decimal, ...]
    figures: tuple[str, ...]
    signed: bool = False
    columns: bool = False


def grouped(*, text: str) -> str:
    """Return a figure as it is read: thousands apart by a thin space, a true minus. Other text stays as it is."""
    apart = WHOLE.sub(lambda found: f"{found[1]}{int(found[2]):,}".replace(",", THIN), text)
    return apart.replace("-", MINUS, 1) if apart.startswith("-") else apart


def svg(*, chart: Chart) -> SafeString:
    """Return a chart as an SVG element; of many bars the first ROWS_MAX."""
    shown = chart._replace(
        labels=chart.labels[:ROWS_MAX],
        values=chart.values[:ROWS_MAX],
        figures=tuple(grouped(text=figure) for figure in chart.figures[:ROWS_MAX]),
    )
    if not shown.labels:
        return SafeString("")
    height, marks = _standing(shown) if shown.columns else _lying(shown)
    return format_html(
        '<svg xmlns="http://www.w3.org/2000/svg" class="chart" role="img" viewBox="0 0 {} {}" width="{}" height="{}"'
        ' aria-label="{}" font-size="11" fill="currentColor">{}</svg>',
        WIDTH, height, WIDTH, height, f"{chart.title}: {_said(shown)}", marks,
    )  # fmt: skip


def _lying(chart: Chart) -> tuple[int, SafeString]:
    """Bars to the right of a line, those below zero to its left."""
    room = WIDTH - LABEL_WIDTH - FIGURE_WIDTH
    low, high = min(ZERO, *chart.values), max(ZERO, *chart.values)
    scale = Decimal(room) / (high - low) if high > low else ZERO
    zero = LABEL_WIDTH + int(-low * scale)
    rows = []
    for at, (label, value, figure) in enumerate(zip(chart.labels, chart.values, chart.figures, strict=True)):
        y, long = TOP + at * (ROW + GAP), max(1, int(abs(value) * scale))
        x = zero if value >= 0 else zero - long
        rows.append(
            (LABEL_WIDTH - 8, y + 15, label[:26], x, y, long, ROW, _colour(chart, value), WIDTH, y + 15, figure)
        )
    drawn = format_html_join(
        "",
        '<text x="{}" y="{}" text-anchor="end">{}</text><rect x="{}" y="{}" width="{}" height="{}" rx="2" fill="{}"/>'
        '<text x="{}" y="{}" text-anchor="end">{}</text>',
        rows,
    )
    height = TOP * 2 + len(rows) * (ROW + GAP)
    line = format_html(
        '<line x1="{}" x2="{}" y1="0" y2="{}" stroke="currentColor" stroke-opacity="0.35"/>', zero, zero, height
    )
    return height, drawn + line


def _standing(chart: Chart) -> tuple[int, SafeString]:
    """Columns on a line, for how often something was how large."""
    wide = WIDTH // len(chart.labels)
    high = max(chart.values) or Decimal(1)
    base = TOP + 14 + COLUMNS_HEIGHT
    columns = []
    for at, (label, value, figure) in enumerate(zip(chart.labels, chart.values, chart.figures, strict=True)):
        tall, middle = int(value / high * COLUMNS_HEIGHT), at * wide + wide // 2
        columns.append(
            (at * wide + 4, base - tall, wide - 8, tall, _colour(chart, value), middle, base - tall - 4, figure,
             middle, base + 16, label)
        )  # fmt: skip
    drawn = format_html_join(
        "",
        '<rect x="{}" y="{}" width="{}" height="{}" rx="2" fill="{}"/>'
        '<text x="{}" y="{}" text-anchor="middle">{}</text><text x="{}" y="{}" text-anchor="middle">{}</text>',
        columns,
    )
    line = format_html(
        '<line x1="0" x2="{}" y1="{}" y2="{}" stroke="currentColor" stroke-opacity="0.35"/>', WIDTH, base, base
    )
    return base + FOOT, drawn + line


def _colour(chart: Chart, value: Decimal) -> str:
    if not chart.signed:
        return PLAIN
    return UP if value >= 0 else DOWN


def _said(chart: Chart) -> str:
    """The chart in words, for who cannot see it."""
    parts: Sequence[str] = [f"{label} {figure}" for label, figure in zip(chart.labels, chart.figures, strict=True)]
    return ", ".join(parts)
