"""A report that is printed: nothing is fetched for it from anywhere, whoever wrote what stands in it."""

from __future__ import annotations

import io
import re
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from django.utils.safestring import SafeString

from apps.common.documents import Document, Section, as_pdf, as_xlsx, printed

MARGIN_PX = 14 / 25.4 * 96


def test_whatever_a_report_says_no_file_and_no_server_is_asked(tmp_path: Path, monkeypatch: Any) -> None:
    """The page escapes every text; one that some day is not must still read nothing of this machine."""
    pytest.importorskip("weasyprint", exc_type=OSError)
    asked: list[Any] = []
    monkeypatch.setattr(urllib.request.OpenerDirector, "open", lambda _, url, *__, **___: asked.append(url))
    (secret := tmp_path / "secret.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg' width='1' height='1'/>")
    places = (secret.as_uri(), "http://127.0.0.1:9/x.png", "data:image/png;base64,AAAA")
    title = SafeString("".join(f'<img src="{place}"><link rel="attachment" href="{place}">' for place in places))
    made = as_pdf(Document(title, (Section("One", ("A",), [(title,)]),)))
    assert (made[:5], asked) == (b"%PDF-", [])


def test_a_wide_table_stays_on_its_page() -> None:
    """Sixteen columns of millions: smaller type, heads that wrap, and nothing past the margin."""
    weasyprint = pytest.importorskip("weasyprint", exc_type=OSError)
    heads = ("Symbol", *(f"At or better than asked {at} %" for at in range(15)))
    row = ("EURUSD", *("-1234567.12",) * 15)
    document = Document("Wide", (Section("All", heads, [row]), Section("Few", heads[:3], [row[:3]])))
    assert [float(section.type_pt) < 9 for section in document.sections] == [True, False]
    (page,) = weasyprint.HTML(string=printed(document=document, at=timezone.now())).render().pages
    cells = [box for box in page._page_box.descendants() if type(box).__name__ == "TableCellBox"]
    assert len(cells) == 38
    assert max(box.position_x + box.border_width() for box in cells) <= page.width - MARGIN_PX + 1


def test_a_workbook_is_read_and_printed_as_the_page_is() -> None:
    """Heads stand over their figures, thousands are apart, all columns fit on a page that says whose it is."""
    section = Section("Sums", ("Account", "Net"), [("A1", "-1234567.50"), ("A2", "0.12345678901234567")])
    book = as_xlsx(Document("Exposure & more", (section,), house="Acorn"))
    with zipfile.ZipFile(io.BytesIO(book)) as parts:
        sheet, styles = parts.read("xl/worksheets/sheet1.xml").decode(), parts.read("xl/styles.xml").decode()
    assert "&amp;LAcorn · Exposure &amp;&amp; more · Sums" in sheet and 'fitToHeight="0"' in sheet
    assert 'orientation="landscape"' in sheet and 'formatCode="#,##0.00"' in styles
    of = {cell: int(style) for cell, style in re.findall(r'<c r="([A-Z]\d)" s="(\d+)"', sheet)}
    (formats,) = re.findall(r"<cellXfs.*?</cellXfs>", styles, re.DOTALL)
    made = re.findall(r"<xf .*?(?:</xf>|/>)(?!<align)", formats)
    assert ['horizontal="right"' in made[of[cell]] for cell in ("A1", "B1", "B3")] == [False, True, True]
