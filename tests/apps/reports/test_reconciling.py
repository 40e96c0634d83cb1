"""A statement against the log: breaks open, find an owner, are explained, are closed; nothing half-written (INV-22)."""

from __future__ import annotations

from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import DatabaseError, transaction
from django.test import Client
from django.utils import timezone

from apps.liquidity.models import LiquidityProvider, LpSymbol
from apps.reports import services
from apps.reports.models import Break, BreakNote, Reconciliation, StatementFormat
from apps.tenants.services import in_tenant
from apps.users.models import User
from apps.users.services import create_staff
from piggy.core import events as ev
from piggy.core.orders import Side
from piggy.messaging import streams
from tests.apps.reports.test_exporting import Logged, append, more
from tests.apps.reports.trading_days import rows
from tests.core.floor import only

HEAD = "ExecID;Instrument;BS;Amount;Rate;Time;Fee"
COLUMNS = {
    "reference": "ExecID", "symbol": "Instrument", "side": "BS", "quantity": "Amount", "price": "Rate",
    "traded_at": "Time", "fee": "Fee",
}  # fmt: skip


@pytest.fixture
def floor(acorn: Any, as_tenant: Any) -> Any:
    """Five fills at LP1, and how LP1 writes its statements: units, commas, European times."""
    with as_tenant("acorn"):
        provider = LiquidityProvider.objects.create(name="LP1", commission_per_million=Decimal(3))
        LpSymbol.objects.create(provider=provider, symbol="EURUSD", venue_symbol="EUR/USD")
        StatementFormat.objects.create(
            venue="LP1", columns=COLUMNS, delimiter=";", decimal_mark=",", time_format="%d.%m.%Y %H:%M",
            time_zone="Europe/Zurich", in_units=True, buy_words=["K"], sell_words=["V"],
        )  # fmt: skip
        made = Logged()
        for lots in (10, 20, 30, 40, 50):
            made.deal("a1", "EURUSD", Side.BUY, lots)
        append(rows(made))
        yield made


def fills(floor: Logged) -> list[ev.ChildOrderFilled]:
    return only([recorded.event for recorded in floor.log], ev.ChildOrderFilled)


def line(fill: ev.ChildOrderFilled, **changes: str) -> str:
    amount = f"{fill.quantity * 100_000:f}"
    fee = f"{fill.quantity * 100_000 * fill.price * 3 / 1_000_000:.2f}"
    cells = {
        "id": fill.fill_id, "symbol": "EUR/USD", "side": "K", "amount": amount, "rate": f"{fill.price}",
        "time": "14.11.2023 23:13", "fee": fee,
    }  # fmt: skip
    return ";".join(cell.replace(".", ",") if name in ("amount", "rate", "fee") else cell
                    for name, cell in (cells | changes).items())  # fmt: skip


def statement(*lines: str) -> bytes:
    return "\r\n".join([HEAD, *lines]).encode()


def run(content: bytes, folder: Path) -> services.Outcome:
    return services.reconcile(
        tenant="acorn", venue="LP1", content=content, file_name="lp1.csv", folder=folder, by="tina", at=timezone.now()
    )


def seen(outcome: services.Outcome) -> set[tuple[str, str]]:
    return {(each.kind, each.reference) for each in outcome.breaks}


def test_every_class_is_found_kept_and_closed_when_it_no_longer_differs(floor: Logged, tmp_path: Path) -> None:
    """Then a late bust on our side: what the LP still lists is a break of its own, and no run is rewritten."""
    one, two, three, four, five = fills(floor)
    clean = statement(*map(line, fills(floor)))
    assert seen(run(clean, tmp_path)) == set()
    bad = statement(
        line(one, amount="11000"), line(two, rate="1,10020"), line(three, fee="9,99"), line(three, fee="9,99"),
        line(four, time="15.11.2023 00:13"), line(five, id="STRANGE"),
    )  # fmt: skip
    first = run(bad, tmp_path)
    wanted = {
        ("quantity", one.fill_id), ("price", two.fill_id), ("fee", three.fill_id), ("duplicate", three.fill_id),
        ("date", four.fill_id), ("missing_here", "STRANGE"), ("missing_there", five.fill_id),
    }  # fmt: skip
    assert seen(first) == wanted
    again = run(bad, tmp_path)
    assert (seen(again), again.run.breaks_new, Break.objects.count()) == (wanted, 0, 7)
    healed = run(clean, tmp_path)
    assert (seen(healed), healed.run.breaks_gone) == (set(), 7)
    assert set(Break.objects.values_list("state", flat=True)) == {"closed"}
    assert BreakNote.objects.filter(act="gone", by="automatic").count() == 7
    floor.pass_time(40)
    floor.restate(0, 0, 1)
    more(floor)
    late = run(clean, tmp_path)
    assert seen(late) == {("missing_here", one.fill_id)} and late.run.seq > healed.run.seq
    counted = [(row.breaks_new, row.breaks_known, row.breaks_gone) for row in Reconciliation.objects.order_by("id")]
    assert counted == [(0, 0, 0), (7, 0, 0), (0, 7, 0), (0, 0, 7), (1, 0, 0)]
    with pytest.raises(DatabaseError, match="what was noted stays"), transaction.atomic():
        BreakNote.objects.update(text="never happened")


HEADS_ALL = "ExecID;Instrument;BS;Amount;Rate;Time;Fee;Order;What"


def whole(fill: ev.ChildOrderFilled, order: str = "", **changes: str) -> str:
    return f"{line(fill, **changes)};{order or fill.cl_ord_id};deal"


def test_inv_22_positions_cash_and_fills_of_no_order_of_ours_are_broken_by_name(
    floor: Logged, tmp_path: Path, redis_server: Any
) -> None:
    """Bought 1.50 lots in all and closed 0.20 of them: the LP states what is left, and both ends of the balance.

    The dealers are told at once, until no break is left.
    """
    StatementFormat.objects.update(columns=COLUMNS | {"order": "Order", "kind": "What"}, balance_words=["Saldo"])
    floor.deal("a1", "EURUSD", Side.SELL, 20)
    more(floor)
    deals = fills(floor)
    bought = sum(fill.quantity for fill in deals[:5])
    cost = sum(fill.quantity * fill.price for fill in deals[:5]) * 100_000
    fees = sum(round(fill.quantity * 100_000 * fill.price * 3 / 1_000_000, 2) for fill in deals)
    sold = deals[5]
    profit = round(sold.quantity * 100_000 * sold.price - cost * sold.quantity / bought, 2)
    left = (bought - sold.quantity) * 100_000

    def said(amount: Decimal, closing: Decimal, *lines: str) -> bytes:
        opening = ";usd;;1.000,00;;14.11.2023 00:00;;;saldo"
        last = f";USD;;{closing:f};;14.11.2023 23:59;;;SALDO".replace(".", ",").replace("14,11,2023", "14.11.2023")
        held = f";EUR/USD;;{amount:f};;14.11.2023 23:59;;;Position".replace(
            f"{amount:f}", f"{amount:f}".replace(".", ",")
        )
        return "\r\n".join([HEADS_ALL, opening, *lines, held, last]).encode()

    lines = [*map(whole, deals[:5]), whole(sold, side="V")]
    clean = said(left, 1_000 + profit - fees, *lines)
    assert seen(run(clean, tmp_path)) == set()
    bad = said(left - 1_000, 1_000 + profit - fees - 5, *lines[:4], whole(deals[4], order="THEIRS", id="S1"), lines[5])
    wanted = {
        ("position", "position:EURUSD"), ("cash", "cash:USD"), ("unknown_fill", "S1"),
        ("missing_there", deals[4].fill_id),
    }  # fmt: skip
    shown = streams.troubles_key(tenant="acorn")
    assert not redis_server.exists(shown)
    first = run(bad, tmp_path)
    assert seen(first) == wanted
    assert redis_server.hget(shown, "statement of LP1").startswith(b"4 breaks")
    assert {each.kind: (each.ours, each.theirs) for each in first.breaks}["position"] == ("1.3", "1.29")
    assert (seen(run(bad, tmp_path)), Break.objects.count()) == (wanted, 4)
    healed = run(clean, tmp_path)
    assert (seen(healed), healed.run.breaks_gone) == (set(), 4)
    assert not redis_server.exists(shown)


def test_inv_22_what_an_lp_takes_for_the_night_is_no_break_and_what_it_keeps_besides_is_one(
    floor: Logged, tmp_path: Path
) -> None:
    """In the currency of the deals and in one that has none; a swap alone makes a day of the statement too."""
    StatementFormat.objects.update(columns=COLUMNS | {"order": "Order", "kind": "What"})
    deals = fills(floor)
    fees = sum(round(fill.quantity * 100_000 * fill.price * 3 / 1_000_000, 2) for fill in deals)

    def said(*lines: str, dollars: Decimal, euros: str) -> bytes:
        stated = [("USD", "1000", "14", "balance"), ("EUR", "50", "14", "balance")]
        stated += [("USD", f"{1_000 - fees + dollars}", "15", "Balance"), ("EUR", euros, "15", "Balance")]
        return "\r\n".join([HEADS_ALL, *map(whole, deals), *lines, *map(cash, stated), position]).encode()

    def cash(stated: tuple[str, str, str, str]) -> str:
        currency, amount, day, kind = stated
        return f";{currency};;{amount.replace('.', ',')};;{day}.11.2023 23:30;;;{kind}"

    position = f";EUR/USD;;{int(sum(fill.quantity for fill in deals) * 100_000)};;15.11.2023 23:59;;;position"
    night = [("usd", "-7.25", "15", "Swap"), ("USD", "1.05", "15", "rollover"), ("EUR", "-0.31", "16", "Interest")]
    swaps = [cash(each) for each in night]
    assert seen(run(said(*swaps, dollars=Decimal("-6.2"), euros="49.69"), tmp_path)) == set()
    kept = run(said(*swaps, dollars=Decimal("-6.3"), euros="49.69"), tmp_path)
    (gone,) = kept.breaks
    assert gone.reference == "cash:USD"
    assert (Decimal(gone.ours), Decimal(gone.theirs)) == (-fees - Decimal("6.2"), -fees - Decimal("6.3"))
    unsaid = run(said(dollars=Decimal("-6.2"), euros="50"), tmp_path)
    assert seen(unsaid) == {("cash", "cash:USD")}
    with pytest.raises(services.UnableToReadStatement, match="column What: 'bonus' is none of the kinds"):
        run(said(cash(("USD", "5", "15", "bonus")), dollars=Decimal(5), euros="50"), tmp_path)


def test_a_bad_statement_is_refused_by_line_column_and_limit_and_nothing_is_written(
    floor: Logged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = line(fills(floor)[0])
    cases = {
        statement(good, good.replace(";K;", ";X;")): "line 3, column BS: 'X' is neither a buy nor a sell",
        statement(
            line(fills(floor)[0], amount="1e999999")
        ): "line 2, column Amount: '1e999999' has more than 28 digits",
        statement(line(fills(floor)[0], amount="NaN")): "line 2, column Amount: 'NaN' is no number",
        statement(line(fills(floor)[0], rate="-1,1")): "line 2, column Rate: '-1,1' is not above zero",
        statement(line(fills(floor)[0], rate="")): "line 2, column Rate: it is empty",
        statement(line(fills(floor)[0], id="E" * 121)): "line 2, column ExecID: 121 characters, at most 120 are read",
        statement(line(fills(floor)[0], time="2023-11-14")): "column Time: '2023-11-14' is not written as %d.%m.%Y",
        statement(line(fills(floor)[0], symbol="EURUSD")): "column Instrument: 'EURUSD' is no symbol of LP1",
        statement("E1;EUR/USD;K"): "line 2, column Amount: the line ends before it, after 3 cells",
        statement(good, '"'): "line 3: unexpected end of data",
        statement(): "line 2: there is no line",
        b"": "line 1: the file is empty",
        HEAD.replace("Rate", "Price").encode(): "line 1, column Rate: it is missing; there are ExecID, Instrument",
        (HEAD + ";Rate").encode(): "line 1, column Rate: it is there more than once",
        statement(good) + b"\n\xff": "line 3: byte",
    }
    for content, says in cases.items():
        with pytest.raises(services.UnableToReadStatement) as refused:
            run(content, tmp_path)
        assert says in str(refused.value)
    for name, limit in (("LINES_MAX", 1), ("FILE_BYTES_MAX", 100)):
        with monkeypatch.context() as patched, pytest.raises(services.UnableToReadStatement, match=f"at most {limit}"):
            patched.setattr(f"apps.reports.services.statements.{name}", limit)
            run(statement(good, good), tmp_path)
    assert not Reconciliation.objects.exists() and not Break.objects.exists() and not list(tmp_path.iterdir())


def test_the_command_lists_breaks_with_owner_and_age_and_says_by_its_code_that_there_are(
    floor: Logged, tmp_path: Path
) -> None:
    path, out = tmp_path / "lp1.csv", StringIO()
    path.write_bytes(statement(*map(line, fills(floor)[:-1])))
    options: dict[str, Any] = {"venue": "LP1", "tenant": "acorn", "folder": tmp_path / "pnl", "stdout": out}
    with pytest.raises(CommandError) as differs:
        call_command("pnl", "reconcile", path, **options)
    assert differs.value.returncode == 3
    assert "1 new breaks" in out.getvalue() and "missing there" in out.getvalue() and "nobody" in out.getvalue()
    with pytest.raises(CommandError, match="too many bytes, at most 33554432 are read"):
        call_command("pnl", "reconcile", Path("/dev/zero"), **options)
    with pytest.raises(CommandError, match="there is no LP LP9"):
        call_command("pnl", "reconcile", path, **options | {"venue": "LP9"})


def test_a_table_holds_so_many_breaks_and_a_file_all_as_their_lp_writes_them(
    floor: Logged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lp1.csv"
    strange = [line(fills(floor)[0], id=name) for name in ("[/b]", ":cat: =1+1", "=1+1")]
    path.write_bytes(statement(*map(line, fills(floor)), *strange))

    def told(**more: Any) -> str:
        out = StringIO()
        options: dict[str, Any] = {"venue": "LP1", "tenant": "acorn", "folder": tmp_path / "pnl", "stdout": out}
        with pytest.raises(CommandError, match="3 breaks stand"):
            call_command("pnl", "reconcile", path, **options, **more)
        return out.getvalue()

    assert all(f" {name} " in told() for name in ("[/b]", ":cat: =1+1", "=1+1"))
    monkeypatch.setattr("apps.reports.management.commands.pnl.ROWS_SHOWN_MAX", 1)
    assert "[/b]" in told() and "=1+1" not in told() and "and 2 more; --csv prints all" in told()
    heads, *rows = told(csv=True).splitlines()
    assert heads.startswith("Class,Reference,Symbol")
    assert [row.split(",")[1] for row in rows] == ["[/b]", ":cat: =1+1", "'=1+1"]


@pytest.fixture
def tina(floor: Logged) -> Client:
    return desk_of(create_staff(username="tina", password="long enough for a test", role="treasury"))


def desk_of(user: User) -> Client:
    from django_otp import DEVICE_ID_SESSION_KEY
    from django_otp.plugins.otp_totp.models import TOTPDevice

    with in_tenant("acorn"):
        http = Client(HTTP_HOST="acorn.localhost")
        http.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        session = http.session
        session[DEVICE_ID_SESSION_KEY] = TOTPDevice.objects.get(user=user).persistent_id
        session.save()
    return http


def test_staff_bring_a_statement_in_take_a_break_over_explain_and_close_it(
    floor: Logged, tina: Client, as_tenant: Any, settings: Any, tmp_path: Path
) -> None:
    settings.PIGGY_HOME = tmp_path
    add = "/admin/reports/reconciliation/add/"
    refused = tina.post(
        add, {"venue": "LP1", "statement": SimpleUploadedFile("lp1.csv", statement(line(fills(floor)[0], symbol="y")))}
    )
    assert "line 2, column Instrument: &#x27;y&#x27; is no symbol of LP1" in refused.content.decode()
    assert refused.status_code == 400
    for name, content in (
        ("a.csv", b""),
        ("a.csv", b"\0" * 9),
        ("../../a\0.csv", b"PK\3\4\xff"),
        ("a" * 999, b"<svg/>"),
    ):
        odd = tina.post(add, {"venue": "LP1", "statement": SimpleUploadedFile(name, content)})
        assert (odd.status_code, "errorlist" in odd.content.decode()) == (400, True), name
    assert tina.post(add, {"venue": "LP1", "statement": "no file"}).status_code == 400
    assert tina.post(add, {"venue": "LP9"}).status_code == 400
    sent = {"venue": "LP1", "statement": SimpleUploadedFile("lp1.csv", statement(*map(line, fills(floor)[:-1])))}
    assert tina.post(add, sent).status_code == 302
    with as_tenant("acorn"):
        (found,) = Break.objects.all()
        boss = create_staff(username="boss", password="long enough for a test", role="auditor")
    page = f"/admin/reports/break/{found.pk}/change/"
    notes = {"notes-TOTAL_FORMS": "1", "notes-INITIAL_FORMS": "1", "notes-0-id": "", "notes-0-of": str(found.pk)}
    with as_tenant("acorn"):
        notes["notes-0-id"] = str(BreakNote.objects.get().pk)
        owner = str(User.objects.get(username="tina").pk)
    assert "nobody" not in tina.get("/admin/reports/break/").content.decode()
    bare = tina.post(page, {"owner": "", "decision": "close", "why": " ", **notes})
    assert "Say why." in bare.content.decode()
    tina.post(page, {"owner": owner, "decision": "explain", "why": "the LP sends it tomorrow", **notes})
    tina.post(page, {"owner": owner, "decision": "close", "why": "came in the next file", **notes})
    with as_tenant("acorn"):
        found.refresh_from_db()
        owned_by = str(found.owner)
        acts = list(BreakNote.objects.order_by("id").values_list("act", "by"))
    assert (found.state, owned_by, found.closed_at is None) == ("closed", "tina", False)
    assert acts == [("found", "tina"), ("assigned", "tina"), ("explained", "tina"), ("closed", "tina")]
    assert desk_of(boss).get(page).status_code == 200
    assert desk_of(boss).post(page, {"owner": "", "decision": "close", "why": "no", **notes}).status_code == 403
    assert desk_of(boss).get(add).status_code == 403


def test_an_execution_under_an_id_that_its_lp_used_before_is_found_by_that_id(floor: Logged, tmp_path: Path) -> None:
    """INV-22: the mark that tells two days' executions apart is ours; the LP's statement knows nothing of it."""
    floor.place("a1", Side.BUY, "1")
    floor.fill(floor.children()[0], "1.10010", fill_id="E1@day19675")
    more(floor)
    *others, again = fills(floor)
    assert seen(run(statement(*map(line, others), line(again, id="E1")), tmp_path)) == set()
