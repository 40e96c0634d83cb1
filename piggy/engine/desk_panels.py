"""Rows of the panels that change once a second: hedging, margin watch, doubts, alerts, trading states.

Each row carries the inputs of its figures, so that the page can say why a number is what it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from piggy.core.accounts import TradingState
from piggy.core.covering import open_risk
from piggy.core.desk import Desk
from piggy.core.hedges_under_way import under_way
from piggy.core.market import VenueState
from piggy.core.moment import Moment
from piggy.core.money import ZERO
from piggy.core.state import Hedge
from piggy.core.working import street_price
from piggy.engine.desk_rows import MONEY_STEP, PRICE_DIGITS_MORE, Row, lots

HEDGES_KEPT = 30
ALERTS_MAX = 100
HUNDRED = Decimal(100)
PERCENT_STEP = Decimal("0.1")
LOUD, RAISED, NOTED = "serious", "warning", "info"

Rows = dict[str, Row]


def request_rows(*, desk: Desk, moment: Moment) -> Rows:
    """Return the orders that wait for a dealer, with what the client asked for and where the market is now.

    `slippage_points` above zero: the market has moved against the client since.
    """
    rows: Rows = {}
    for held in desk.state.held.values():
        order = desk.state.orders[held.order_id]
        terms, instrument = order.terms, desk.state.instruments[order.terms.symbol]
        now = street_price(terms=terms, moment=moment)
        moved = None if now is None else (now - held.price) * terms.side.sign / instrument.point
        rows[held.order_id] = {
            "order_id": held.order_id,
            "account_id": terms.account_id,
            "group": order.group,
            "symbol": terms.symbol,
            "side": terms.side,
            "type": terms.type,
            "quantity": lots(order.leaves, instrument.lot_digits),
            "requested": held.price,
            "current": now,
            "slippage_points": None if moved is None else f"{moved.normalize():f}",
            "held_at": held.held_at_us,
            "expires_at": held.expires_at_us,
            "passes_on": held.passes_on,
            "claimed_by": held.claimed_by if held.claimed_until_us > moment.now_us else "",
            "requote": held.requote,
            "requotes": held.requotes,
        }
    return rows


def hedge_rows(*, desk: Desk, moment: Moment) -> Rows:
    """Return every policy with the risk it looks at, and the latest hedges, the queued ones always."""
    state = desk.state
    rows: Rows = {}
    pending = under_way(state=state)
    for key, policy in state.hedge_policies.items():
        risk = open_risk(policy=policy, moment=moment)
        rows[f"policy:{key}"] = {
            "kind": "policy",
            "key": key,
            "symbol": policy.symbol,
            "scope": policy.scope,
            "risk": risk,
            "threshold": policy.threshold,
            "target": policy.target,
            "band": policy.band,
            "use_percent": _percent(risk, policy.threshold),
            "automatic": policy.automatic,
            "enabled": policy.enabled,
            "version": policy.version,
            "pending": pending.get(policy.symbol, ZERO),
        }
    latest = [*state.hedges.values()][-HEDGES_KEPT:]
    queued = [state.hedges[hedge_id] for hedge_id in sorted(state.open_hedges)]
    return rows | {hedge.hedge_id: _hedge_row(desk, hedge) for hedge in [*latest, *queued]}


def coverage_rows(*, desk: Desk, moment: Moment) -> Rows:
    """Return the house's account at each venue: what clients' legs and hedges left there, and what the hedges make.

    `floating` and `realised` are of the hedges alone, of the position that stands now, in the quote currency; what
    clients' legs made is theirs.
    """
    state, rows = desk.state, {}
    for venue, symbol in sorted({*state.venue_nets, *state.house_positions}):
        net, held = state.venue_nets.get((venue, symbol), ZERO), state.house_positions.get((venue, symbol))
        if not net and held is None:
            continue
        instrument, mark = state.instruments[symbol], moment.marks.get(symbol)
        mid = None if mark is None else (mark.bid + mark.ask) / 2
        hedged = held.quantity if held else ZERO
        per_lot, step = instrument.contract_size, instrument.point.scaleb(-PRICE_DIGITS_MORE)
        profit = None if mid is None or held is None else (held.quantity * mid - held.cost) * per_lot
        rows[f"{venue}:{symbol}"] = {
            "venue": venue,
            "symbol": symbol,
            "net": lots(net, instrument.lot_digits),
            "passed_on": lots(net - hedged, instrument.lot_digits),
            "hedged": lots(hedged, instrument.lot_digits),
            "vwap": held.average_price.quantize(step) if held else None,
            "mark": None if mid is None else mid.quantize(step),
            "floating": None if profit is None else profit.quantize(MONEY_STEP),
            "realised": (held.realised_quote if held else ZERO).quantize(MONEY_STEP),
            "currency": instrument.quote,
            "contract_size": per_lot,
            "notional": None if mid is None else (net * per_lot * mid).quantize(MONEY_STEP),
            "limit": _venue_limit(desk, venue, symbol),
        }
    return rows


def _venue_limit(desk: Desk, venue: str, symbol: str) -> Decimal | None:
    policies = (each for each in desk.state.hedge_policies.values() if each.symbol == symbol)
    return min((each.venue_lots_max[venue] for each in policies if venue in each.venue_lots_max), default=None)


def doubt_rows(*, desk: Desk) -> Rows:
    """Return the legs whose outcome nobody knows, and what venues reported that fits no order of ours."""
    rows: Rows = {}
    for child in desk.state.open_children.values():
        if not child.in_doubt:
            continue
        made, order = child.created, desk.state.orders.get(child.created.order_id)
        rows[made.cl_ord_id] = {
            "kind": "leg",
            "cl_ord_id": made.cl_ord_id,
            "order_id": made.order_id,
            "whose": order.terms.account_id if order else "house",
            "venue": made.venue,
            "symbol": made.symbol,
            "side": made.side,
            "quantity": made.quantity,
            "filled": child.filled,
            "leaves": child.leaves,
            "at": child.created_at_us,
            "text": "counts worst-case until the venue says what became of it",
        }
    gone = desk.state.suspended_before
    if gone:
        text = f"{gone} reports before these: manage.py log show --type VenueReportSuspended has them all"
        rows["suspended:before"] = _report_row(cl_ord_id="", venue="", text=text)
    for at, report in enumerate(desk.state.suspended, gone):
        rows[f"suspended:{at}"] = _report_row(
            cl_ord_id=report.cl_ord_id, venue=report.venue, text=f"{report.code}: {report.text}"
        )
    return rows


def _report_row(*, cl_ord_id: str, venue: str, text: str) -> Row:
    return {
        "kind": "report",
        "cl_ord_id": cl_ord_id,
        "order_id": "",
        "whose": "",
        "venue": venue,
        "symbol": "",
        "side": "",
        "quantity": None,
        "filled": None,
        "leaves": None,
        "at": None,
        "text": text,
    }


def state_rows(*, desk: Desk) -> Rows:
    """Return every scope that is not active, and who stopped it."""
    state = desk.state
    return {
        f"{scope}:{key}": {"scope": scope, "key": key, "state": known, "by": state.stopped_by.get((scope, key), "")}
        for (scope, key), known in state.trading_states.items()
        if known is not TradingState.ACTIVE
    }


def alert_rows(
    *, desk: Desk, panels: Mapping[str, Rows], before: Rows, now_us: int, troubles: Mapping[str, str]
) -> Rows:
    """Return what somebody should look at now; `since` stays that of an alert that was there before.

    `troubles` says by its name what is wrong with a part of the machine itself; it comes first.
    """
    found: Rows = {}
    of_desk = [
        *_venue_alerts(desk),
        *_request_alerts(desk),
        *_panel_alerts(panels),
        *_limit_alerts(desk),
        *_report_alerts(desk),
    ]
    known = [*_troubles(troubles), *of_desk]
    for key, alert in known[:ALERTS_MAX]:
        found[key] = alert | {"key": key, "since": before[key]["since"] if key in before else now_us}
    return found


def _hedge_row(desk: Desk, hedge: Hedge) -> Row:
    waits = not hedge.approved and not hedge.state.final
    digits = desk.state.instruments[hedge.symbol].lot_digits
    return {
        "kind": "hedge",
        "key": hedge.key,
        "hedge_id": hedge.hedge_id,
        "symbol": hedge.symbol,
        "side": hedge.side,
        "quantity": lots(hedge.quantity, digits),
        "filled": lots(hedge.filled, digits),
        "state": "queued" if waits else hedge.outcome or hedge.state,
        "at": hedge.proposed_at_us,
        "queued": waits,
    }


def _troubles(troubles: Mapping[str, str]) -> Iterable[tuple[str, Row]]:
    for name, text in troubles.items():
        yield f"trouble:{name}", _alert(LOUD, "machine", f"Trouble: the {name}", text)


def _venue_alerts(desk: Desk) -> Iterable[tuple[str, Row]]:
    for name, venue in desk.state.venues.items():
        status = desk.statuses.get(name)
        if venue.enabled and (status is None or status.state is not VenueState.READY):
            text = f"{status.state.value}: {status.text}" if status else "nothing heard from it yet"
            yield f"venue:{name}", _alert(LOUD, "lp", f"{name} is down", text)
        if status is not None and status.alarm:
            yield f"alarm:{name}", _alert(LOUD, "lp", f"{name} raises an alarm", status.alarm)


def _request_alerts(desk: Desk) -> Iterable[tuple[str, Row]]:
    for order_id in desk.state.held:
        terms = desk.state.orders[order_id].terms
        text = f"{terms.side.value} {terms.quantity} {terms.symbol} of {terms.account_id} waits for a dealer"
        yield f"request:{order_id}", _alert(RAISED, "request", f"Request {order_id}", text)


def _report_alerts(desk: Desk) -> Iterable[tuple[str, Row]]:
    """One alert for all reports that fit no order, so that they leave room for everything else."""
    if reports := desk.state.suspended:
        count, latest = desk.state.suspended_before + len(reports), reports[-1]
        text = f"{count} so far, the latest of {latest.venue}: {latest.code}: {latest.text}"
        yield "reports", _alert(LOUD, "doubt", "Venues reported what fits no order", text)


def _panel_alerts(panels: Mapping[str, Rows]) -> Iterable[tuple[str, Row]]:
    legs = ((key, row) for key, row in panels["doubts"].items() if row["kind"] == "leg")
    for key, row in legs:
        yield f"doubt:{key}", _alert(LOUD, "doubt", f"{row['venue']} in doubt", f"{key}: {row['text']}")
    for key, row in panels["margin"].items():
        level, stop_out = row["level_percent"], row["stop_out_percent"]
        if level is not None and row["called"]:
            text = f"margin level {level} %, called at {row['call_percent']:f} %, stopped out at {stop_out:f} %"
            tone = LOUD if level < stop_out * 2 - stop_out / 2 else RAISED
            yield f"margin:{key}", _alert(tone, "margin", f"Margin call {key}", text)
    for key, row in panels["hedges"].items():
        if row["kind"] == "hedge" and row["queued"]:
            text = f"{row['side']} {row['quantity']} {row['symbol']} waits for a dealer"
            yield f"hedge:{key}", _alert(RAISED, "request", f"Hedge {key} queued", text)
        if row["kind"] == "policy" and row["use_percent"] is not None and row["use_percent"] >= HUNDRED:
            text = f"risk {row['risk']} is past the threshold {row['threshold']}"
            yield f"exposure:{key}", _alert(RAISED, "exposure", f"{row['key']} past its threshold", text)
    for key, row in panels["states"].items():
        who = f"by {row['by']}" if row["by"] else ""
        name = f"{row['scope']} {row['key']}".strip()
        yield f"state:{key}", _alert(NOTED, "state", f"{name} is {row['state']}", who)


def _limit_alerts(desk: Desk) -> Iterable[tuple[str, Row]]:
    for account_id, levels in desk.state.alert_levels.items():
        for code, level in levels.items():
            tone = RAISED if level >= HUNDRED else NOTED
            text = f"{code} has reached {level:f} % of its limit"
            yield f"limit:{account_id}:{code}", _alert(tone, "limit", f"Limit of {account_id}", text)
    for (scope, key, group, currency), level in desk.state.exposure_alerts.items():
        tone, name = RAISED if level >= HUNDRED else NOTED, key or f"the {scope}"
        text = f"P-19 has reached {level:f} % of the limit that group {group} sets to it, in {currency}"
        yield f"limit:{scope}:{key}:{group}:{currency}", _alert(tone, "limit", f"Exposure of {name}", text)
    for account_id in desk.state.throttled:
        text = "it dealt too often (P-15); a person opens it again"
        yield f"throttle:{account_id}", _alert(RAISED, "limit", f"{account_id} is throttled", text)


def _alert(tone: str, topic: str, title: str, text: str) -> Row:
    return {"tone": tone, "topic": topic, "title": title, "text": text}


def _percent(value: Decimal | None, limit: Decimal) -> Decimal | None:
    return (abs(value) * HUNDRED / limit).quantize(PERCENT_STEP) if value is not None and limit else None
