"""A report that is printed: nothing is fetched for it from anywhere, whoever wrote what stands in it."""

from __future__ import annotations

import urllib.request
from pathlib import Path
from typing import Any

import pytest
from django.utils.safestring import SafeString

from apps.common.documents import Document, Section, as_pdf


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
