"""The back office, the reports and the front door: no serious accessibility fault, a quiet console."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from apps.accounts.models import Account
from tests.flows.desk_people import IN_BROWSER, in_acorn, serious_faults

pytestmark = IN_BROWSER
# A list, a form, a form of a policy's terms, what a policy comes to, a page of its own: one of each shape.
PAGES = (
    "/admin/",
    "/admin/trading/order/",
    "/admin/trading/order/O1/change/",
    "/admin/accounts/account/add/",
    "/admin/accounts/account/{account}/change/",
    "/admin/policies/limitspolicy/add/?group=b-book",
    "/admin/policies/limitspolicy/effective/?group=b-book",
    "/admin/policies/routingrules/add/",
    "/admin/policies/grouppolicy/add/?group=b-book",
    "/admin/treasury/withdrawal/add/",
    "/admin/policies/grouppolicy/add/?group=b-book",
    "/admin/treasury/withdrawal/add/",
    "/admin/risk/depreciationnotice/",
    "/admin/auth/group/add/",
    "/admin/policies/accountpolicy/add/?owner=A1",
    "/desk/reports/exposure.html",
    "/api/v1/docs",
    "/",
)

# Each kind of page remembers its theme in its own way.
PUT_ON = """theme => {
  localStorage.setItem('theme', theme);
  localStorage.setItem('adminTheme', JSON.stringify(theme));
}"""


def test_no_page_keeps_anybody_out(desk: Callable[[str], Page]) -> None:
    page = desk("anna")
    origin = page.evaluate("location.origin")
    account = str(in_acorn(lambda: Account.objects.get(account_id="A1").pk))
    for at, path in enumerate(PAGES):
        theme = ("dark", "light")[at % 2]
        page.evaluate(PUT_ON, theme)
        page.goto(f"{origin}{path.format(account=account)}")
        expect(page.locator("main, [role=main]").first).to_be_visible()
        if path == "/api/v1/docs":
            expect(page.locator(".opblock").first).to_be_visible()
            page.wait_for_timeout(1_000)
        assert serious_faults(page) == [], (path, theme)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        assert page.said == [], path  # type: ignore[attr-defined]
