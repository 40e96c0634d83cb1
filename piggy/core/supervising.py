"""Supervising: what people set around trading: margin, clearances, sessions, overrides, latches, states and kills."""

from __future__ import annotations

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core import venue_cancels
from piggy.core.accounts import TradingState
from piggy.core.auctions import AuctionPhase
from piggy.core.clearance import Override, calendar_fault
from piggy.core.controls_order import STRICTNESS
from piggy.core.execution import Execution
from piggy.core.funds import ANY_SYMBOL
from piggy.core.margin import settings_fault
from piggy.core.moment import Moment
from piggy.core.orders import OrderState
from piggy.core.oversight import OVERRIDE_US_MAX, disconnect_due, kill_plan, override_holds
from piggy.core.risk import OVERRIDABLE, terms_hash
from piggy.core.standing import VENUE_SYMBOL
from piggy.core.state import Order, State
from piggy.core.stress import model_fault
from piggy.core.venue_cancels import is_asked

Events = list[ev.AnyEvent]
SCOPES = ("account", "firm", "group", "strategy", "symbol", "tenant", "venue", VENUE_SYMBOL)
LISTS = ("client", "firm", "tenant")
# Orders of a strategy name it behind this as their source.
SIGNAL = "signal:"
STOPPED = (TradingState.HALTED, TradingState.KILLED)


def configure_margin(*, command: cmd.ConfigureMargin, moment: Moment) -> Events:
    """Take how a group is margined in a symbol; it counts from the next fill."""
    state = moment.state
    if command.group not in state.groups:
        return [_refused("GROUP_UNKNOWN", "group", f"no group is called {command.group}")]
    if command.symbol != ANY_SYMBOL and command.symbol not in state.instruments:
        return [_refused("SYMBOL_UNKNOWN", "symbol", f"no symbol is called {command.symbol}")]
    if fault := settings_fault(settings=command.settings):
        return [_refused("MARGIN_UNUSABLE", "settings", fault)]
    if state.margin_settings.get((command.group, command.symbol)) == command.settings:
        return []
    return [ev.MarginConfigured(group=command.group, symbol=command.symbol, settings=command.settings)]


def configure_option_model(*, command: cmd.ConfigureOptionModel, moment: Moment) -> Events:
    """Take how options on a symbol are priced and stressed."""
    model = command.model
    if model.underlying not in moment.state.instruments:
        return [_refused("SYMBOL_UNKNOWN", "underlying", f"no symbol is called {model.underlying}")]
    if fault := model_fault(model=model):
        return [_refused("MODEL_UNUSABLE", fault.partition(":")[0], fault)]
    same = moment.state.option_models.get(model.underlying) == model
    return [] if same else [ev.OptionModelConfigured(model=model)]


def configure_permissions(*, command: cmd.ConfigurePermissions, moment: Moment) -> Events:
    """Take what compliance says of an account (P-02, P-03)."""
    if command.account_id not in moment.state.accounts:
        return [_refused("ACCOUNT_UNKNOWN", "account_id", "no such account")]
    if moment.state.permissions.get(command.account_id) == command.permissions:
        return []
    return [ev.PermissionsConfigured(account_id=command.account_id, permissions=command.permissions)]


def configure_restrictions(*, command: cmd.ConfigureRestrictions, moment: Moment) -> Events:
    """Replace the restricted list of a scope (P-04)."""
    if command.scope not in LISTS:
        return [_refused("SCOPE_UNKNOWN", "scope", f"one of {', '.join(LISTS)}")]
    if moment.state.restrictions.get((command.scope, command.key), frozenset()) == command.symbols:
        return []
    return [ev.RestrictionsConfigured(scope=command.scope, key=command.key, symbols=command.symbols)]


def configure_calendar(*, command: cmd.ConfigureCalendar, moment: Moment) -> Events:
    """Take when a symbol trades (P-05); one without a calendar always does."""
    calendar = command.calendar
    if calendar.symbol not in moment.state.instruments:
        return [_refused("SYMBOL_UNKNOWN", "symbol", f"no symbol is called {calendar.symbol}")]
    if fault := calendar_fault(calendar=calendar):
        return [_refused("CALENDAR_UNUSABLE", "sessions", fault)]
    before, now = moment.state.calendars.get(calendar.symbol), moment.state.phases.get(calendar.symbol)
    if before == calendar:
        return []
    events: Events = [ev.CalendarConfigured(calendar=calendar)]
    if before and before.has_calls and not calendar.has_calls and now and now.phase is AuctionPhase.CLOSED:
        # What its calls closed nobody would open again.
        reason, phase = "its calendar has no calls any more", AuctionPhase.CONTINUOUS
        events.append(ev.PhaseChanged(symbol=calendar.symbol, phase=phase, ends_at_us=None, reason=reason, by=""))
    return events


def grant_override(*, command: cmd.GrantOverride, moment: Moment) -> Events:
    """Let one order through named controls, signed by a second person, for half an hour at most (P-26)."""
    order = moment.state.orders.get(command.order_id)
    if order is None or (order.state.final and order.state is not OrderState.DENIED):
        return [_refused("ORDER_UNKNOWN", "order_id", "no order of that id was denied or works")]
    if not command.codes or not command.codes <= OVERRIDABLE:
        return [_refused("NOT_OVERRIDABLE", "codes", f"only {', '.join(sorted(OVERRIDABLE))} may be overridden")]
    override = Override(
        order_id=command.order_id,
        codes=command.codes,
        reason=command.reason,
        requested_by=command.requested_by,
        authorised_by=command.authorised_by,
        granted_at_us=moment.now_us,
        expires_at_us=command.expires_at_us,
    )
    if not override_holds(override=override, order_id=command.order_id, now_us=moment.now_us):
        minutes = OVERRIDE_US_MAX // 60_000_000
        text = f"an override needs a reason, a second person, and an end within {minutes} minutes"
        return [_refused("OVERRIDE_INVALID", "authorised_by", text)]
    denied = order.state is OrderState.DENIED
    return [ev.OverrideGranted(override=override, key=terms_hash(terms=order.terms) if denied else order.order_id)]


def release_throttle(*, command: cmd.ReleaseThrottle, moment: Moment) -> Events:
    """Open the execution throttle of an account again (P-15): a person's act, with a reason."""
    if command.account_id not in moment.state.throttled:
        return [_refused("NOT_THROTTLED", "account_id", "its throttle is not latched")]
    if not (command.by and command.reason):
        return [_refused("REASON_MISSING", "reason", "who opens it, and why, is recorded")]
    return [ev.ThrottleReleased(account_id=command.account_id, by=command.by, reason=command.reason)]


def report_connection(*, command: cmd.ReportConnection, moment: Moment) -> Events:
    """Note that a client session which asked for cancel on disconnect dropped off, or is back (P-29)."""
    if command.account_id not in moment.state.accounts:
        return [_refused("ACCOUNT_UNKNOWN", "account_id", "no such account")]
    if command.connected is (command.account_id not in moment.state.disconnected):
        return []
    return [
        ev.ClientConnectionChanged(
            account_id=command.account_id, connected=command.connected, occurred_at_us=moment.now_us
        )
    ]


def set_trading_state(*, command: cmd.SetTradingState, moment: Moment) -> Events:
    """Change the trading state of a scope; the strictest of all that apply wins (P-01).

    What one person stopped only another opens again. A kill cancels the scope's working orders, unless told not to
    (P-25); legs at venues are asked to end, the house's own hedges too. What a killed venue gives back goes elsewhere.
    """
    state, key = moment.state, (command.scope, command.key)
    if command.scope not in SCOPES:
        return [_refused("SCOPE_UNKNOWN", "scope", f"one of {', '.join(SCOPES)}")]
    known = state.trading_states.get(key, TradingState.ACTIVE)
    wanted = max(known, command.state, key=STRICTNESS.__getitem__) if command.suspends else command.state
    opens = known in STOPPED and STRICTNESS[wanted] < STRICTNESS[known]
    if opens and (not command.by or command.by == state.stopped_by[key]):
        return [_refused("FOUR_EYES", "by", f"it was {known.value} by {state.stopped_by[key]}: another opens it again")]
    execution = Execution(moment=moment)
    execution.events.append(
        ev.TradingStateChanged(scope=command.scope, key=command.key, state=wanted, reason=command.reason, by=command.by)
    )
    if command.cancel_working and (command.state is TradingState.KILLED or command.suspends):
        _clear(command=command, execution=execution)
    return execution.events


def _clear(*, command: cmd.SetTradingState, execution: Execution) -> None:
    word = "suspended" if command.suspends else "killed"
    moment, reason = execution.moment, f"{word}: {command.reason}"
    if command.scope == "venue":
        execution.events += venue_cancels.leave(venue=command.key, reason=reason, moment=moment)
        return
    if command.scope == VENUE_SYMBOL:
        venue, _, symbol = command.key.partition("/")
        execution.events += venue_cancels.leave(venue=venue, symbol=symbol, reason=reason, moment=moment)
        return
    found = (order for order in _working(moment.state) if _in_scope(order, command.scope, command.key))
    working = (order.order_id for order in found if not (command.suspends and order.terms.reduce_only))
    plan = kill_plan(working=working, open_positions=())
    orders = (moment.state.orders[order_id] for order_id in plan.cancel)
    venue_cancels.end(orders=orders, outcome="cancelled", reason=reason, execution=execution)
    if command.scope in ("firm", "tenant", "symbol"):
        execution.events += venue_cancels.recall_hedges(symbol=command.key, reason=reason, moment=moment)


def left_behind(*, state: State, now_us: int) -> list[Order]:
    """Return the working orders of clients who dropped off too long ago (P-29); exits stay: they only reduce."""
    gone: list[Order] = []
    for account_id, at_us in sorted(state.disconnected.items()):
        grace_s = state.effective_limits[state.accounts[account_id].group].disconnect_grace_s
        if disconnect_due(disconnected_at_us=at_us, grace_s=grace_s, now_us=now_us):
            orders = (state.orders[order_id] for order_id in sorted(state.open_orders.get(account_id, ())))
            gone += [order for order in orders if not order.terms.reduce_only and not is_asked(order=order)]
    return gone


def _working(state: State) -> list[Order]:
    return [state.orders[order_id] for ids in state.open_orders.values() for order_id in ids]


def _in_scope(order: Order, scope: str, key: str) -> bool:
    if scope in ("firm", "tenant"):
        return True
    names = {"group": order.group, "account": order.terms.account_id, "symbol": order.terms.symbol}
    names["strategy"] = order.source.removeprefix(SIGNAL)
    return key == names.get(scope)


def _refused(code: str, field: str, text: str) -> ev.CommandRefused:
    return ev.CommandRefused(code=code, field=field, text=text)
