"""A member of staff at the back office over HTTP: password, code, and forms sent back as the browser would."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import httpx

from tests.flows.venue import RunningVenue


class Form(HTMLParser):
    """The fields of a page's form with the values that they show."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self._select = self._area = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = {name: value or "" for name, value in attrs}
        name = at.get("name", "")
        if tag == "input" and name and at.get("type") not in ("submit", "button"):
            if at.get("type") not in ("checkbox", "radio") or "checked" in at:
                self.fields[name] = at.get("value", "on" if at.get("type") == "checkbox" else "")
        elif tag == "select":
            self._select = name
        elif tag == "option" and "selected" in at and self._select:
            self.fields[self._select] = at.get("value", "")
        elif tag == "textarea":
            self._area = name
            self.fields[name] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""
        elif tag == "textarea":
            self._area = ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self.fields[self._area] += data


def enter(running: RunningVenue, login: str) -> httpx.Client:
    """Log in with password and code."""
    person, web = running.logins()[login], running.web()
    form = Form(web.get("/admin/login/").text).fields
    form |= {"username": person.name, "password": person.password, "otp_token": person.code, "next": "/admin/"}
    answer = web.post("/admin/login/", data=form)
    assert answer.status_code == 302, faults(answer)
    return web


def save(web: httpx.Client, path: str, **changes: str) -> None:
    """Change fields on a form of the back office and press Save."""
    shown = Form(web.get(path).text).fields
    why = {"reason": "a new day"} if "reason" in shown else {}
    fields = shown | why | changes | {"_save": "Save"}
    answer = web.post(path, data=fields)
    assert answer.status_code == 302, faults(answer)


def approve(web: httpx.Client, path: str, draft: int) -> None:
    """Look at a draft and let it in."""
    shown = Form(web.get(f"{path}{draft}/change/").text).fields
    seen = {name: value for name, value in shown.items() if name in ("csrfmiddlewaretoken", f"seen-{draft}")}
    answer = web.post(path, data=seen | {"action": "approve", "_selected_action": str(draft)})
    assert answer.status_code == 302, faults(answer)


def faults(answer: httpx.Response) -> str:
    """What a page says in words, shortened."""
    words = re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", answer.text, flags=re.DOTALL)
    return f"{answer.status_code} {' '.join(words.split())[:1500]}"
