"""Configuring: instruments, groups, accounts, venues, limits, trading states and money in and out, as events."""

from __future__ import annotations

from decimal import Decimal

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core import strategies
from piggy.core.accounts import group_fault, venue_fault
from piggy.core.crosses import cross_fault
from piggy.core.funds import HOUSE_RULES
from piggy.core.instruments import Instrument, instrument_fault
from piggy.core.moment import Moment
from piggy.core.money import ZERO, plain
from piggy.core.profiles import ANY_SYMBOL, profile_fault
from piggy.core.protection import CREDIT, credit_left, credit_refusal
from piggy.core.routing_rules import policy_fault
from piggy.core.state import State

Events = list[ev.AnyEvent]
# What an open position's cost and profit are reckoned by.
WORTH = ("contract_size", "base", "quote", "option", "cross")
# What lots are worth by: of orders too, which were judged by it, and of what venues deal and the house holds there.
LOTS_WORTH = WORTH[:3]
# The books are exact to so many digits, before and after the point.
AMOUNT_MAX, AMOUNT_STEP = Decimal(10) ** 15, Decimal(1).scaleb(-10)


def configure_instrument(*, command: cmd.ConfigureInstrument, moment: Moment) -> Events:
    """Take a symbol's terms; the scale of one in use stays, and what positions are worth by while there are any."""
    instrument, known = command.instrument, moment.state.instruments.get(command.instrument.symbol)
    if known and (known.price_digits, known.lot_digits) != (
        command.instrument.price_digits,
        command.instrument.lot_digits,
    ):
        return [_refused("DIGITS_FIXED", "price_digits", "the scale of a symbol cannot change once it is in use")]
    if fault := instrument_fault(instrument=instrument):
        return [_refused("TERMS_UNUSABLE", *fault)]
    if fault := cross_fault(instrument=instrument, known=moment.state.instruments):
        return [_refused("CROSS_UNUSABLE", *fault)]
    if known and known != instrument and (in_use := _in_use(known, instrument, moment.state)):
        return [_refused(*in_use)]
    return [] if known == instrument else [ev.InstrumentConfigured(instrument=instrument)]


def _in_use(known: Instrument, instrument: Instrument, state: State) -> tuple[str, str, str] | None:
    """Return (code, field, why) of what may not change now because something that is open is worth by it."""
    symbol, changed = known.symbol, [name for name in WORTH if getattr(known, name) != getattr(instrument, name)]
    if changed and state.holders.get(symbol):
        return "POSITIONS_OPEN", changed[0], "it cannot change while positions are open"
    if not changed or changed[0] not in LOTS_WORTH:
        return None
    working = (state.orders[order_id] for mine in state.open_orders.values() for order_id in mine)
    if any(order.terms.symbol == symbol for order in working):
        return "ORDERS_OPEN", changed[0], "it cannot change while orders work"
    if any(leg.created.symbol == symbol for leg in state.open_children.values()):
        return "ORDERS_OPEN", changed[0], "it cannot change while venues have orders"
    if any(held == symbol and net for (_, held), net in state.venue_nets.items()):
        return "POSITIONS_OPEN", changed[0], "it cannot change while the house has positions at venues"
    return None


def configure_group(*, command: cmd.ConfigureGroup, moment: Moment) -> Events:
    """Take a group's settings; its version is recorded on every order from now on.

    An unset limit refuses, so a new group trades once limits are on record; those are changed by their own command.
    """
    state, name = moment.state, command.group.name
    if fault := group_fault(group=command.group):
        return [_refused("TERMS_UNUSABLE", *fault)]
    same = state.groups.get(name) == command.group
    events: Events = [] if same else [ev.GroupConfigured(group=command.group)]
    if command.limits is not None and name not in state.limits:
        events.append(ev.LimitsConfigured(group=name, limits=command.limits))
    return events


def configure_account(*, command: cmd.ConfigureAccount, moment: Moment) -> Events:
    """Take an account's terms; its currency never changes, its position mode only while flat.

    Nobody is cleared for anything until somebody says so (P-02, P-03); what is on record is changed by its own command.
    """
    account, state = command.account, moment.state
    if account.group not in state.groups:
        return [_refused("GROUP_UNKNOWN", "group", f"no group is called {account.group}")]
    known = state.accounts.get(account.account_id)
    if known and known.currency != account.currency:
        return [_refused("CURRENCY_FIXED", "currency", "an account's currency cannot change")]
    if known and known.position_mode != account.position_mode and state.positions_of.get(account.account_id):
        return [_refused("POSITIONS_OPEN", "position_mode", "it cannot change while positions are open")]
    events: Events = [] if known == account else [ev.AccountConfigured(account=account)]
    if command.clearance is not None and account.account_id not in state.permissions:
        events.append(ev.PermissionsConfigured(account_id=account.account_id, permissions=command.clearance))
    return events


def configure_venue(*, command: cmd.ConfigureVenue, moment: Moment) -> Events:
    """Take what routing and the market need to know of a venue."""
    if fault := venue_fault(venue=command.venue):
        return [_refused("TERMS_UNUSABLE", *fault)]
    same = moment.state.venues.get(command.venue.name) == command.venue
    return [] if same else [ev.VenueConfigured(venue=command.venue)]


def configure_strategy(*, command: cmd.ConfigureStrategy, moment: Moment) -> Events:
    """Take which account a signal source may trade."""
    known = moment.state.strategies.get(command.strategy.strategy_id)
    if fault := strategies.settings_fault(strategy=command.strategy):
        return [_refused("STRATEGY_UNUSABLE", *fault)]
    strategy = strategies.rotated(strategy=command.strategy, known=known, now_us=moment.now_us)
    return [] if known == strategy else [ev.StrategyConfigured(strategy=strategy)]


def configure_limits(*, command: cmd.ConfigureLimits, moment: Moment) -> Events:
    """Take the pre-trade limits of a group."""
    same = moment.state.limits.get(command.group) == command.limits
    return [] if same else [ev.LimitsConfigured(group=command.group, limits=command.limits)]


def configure_pricing(*, command: cmd.ConfigurePricing, moment: Moment) -> Events:
    """Take how a group sees a symbol."""
    state = moment.state
    if command.group not in state.groups:
        return [_refused("GROUP_UNKNOWN", "group", f"no group is called {command.group}")]
    if command.symbol != ANY_SYMBOL and command.symbol not in state.instruments:
        return [_refused("SYMBOL_UNKNOWN", "symbol", f"no symbol is called {command.symbol}")]
    # What was usable when it was taken is not refused when it is said again.
    if state.profiles.get((command.group, command.symbol)) == command.profile:
        return []
    if fault := profile_fault(profile=command.profile):
        return [_refused("PROFILE_UNUSABLE", "profile", fault)]
    return [ev.PricingConfigured(group=command.group, symbol=command.symbol, profile=command.profile)]


def configure_routing(*, command: cmd.ConfigureRouting, moment: Moment) -> Events:
    """Take a new set of routing rules; one that contradicts itself is refused with the field."""
    if fault := policy_fault(policy=command.policy):
        return [_refused("ROUTING_INVALID", *fault)]
    same = moment.state.policy == command.policy
    return [] if same else [ev.RoutingConfigured(policy=command.policy)]


def score_account(*, command: cmd.ScoreAccount, moment: Moment) -> Events:
    """Take an account's markout score."""
    if command.account_id not in moment.state.accounts:
        return [_refused("ACCOUNT_UNKNOWN", "account_id", "no such account")]
    if not command.score.is_finite():
        return [_refused("SCORE_INVALID", "score", "a score is a number")]
    return [ev.AccountScored(account_id=command.account_id, score=command.score)]


def score_venue(*, command: cmd.ScoreVenue, moment: Moment) -> Events:
    """Take a venue's measured markout."""
    if command.venue not in moment.state.venues:
        return [_refused("VENUE_UNKNOWN", "venue", "no such venue")]
    if not command.markout_bps.is_finite():
        return [_refused("SCORE_INVALID", "markout_bps", "a score is a number")]
    return [ev.VenueScored(venue=command.venue, markout_bps=command.markout_bps)]


def credit(*, command: cmd.CreditAccount, moment: Moment) -> Events:
    """Money in, once per reference."""
    refusal = _money_refusal(command, moment)
    if refusal or command.reference in moment.state.references:
        return refusal
    category = moment.account(command.account_id).category
    if code := credit_refusal(kind=command.kind, category=category, rules=HOUSE_RULES):
        return [_refused(code, "kind", f"a {category.value} client may be given no {command.kind}")]
    return [
        ev.AccountCredited(
            account_id=command.account_id,
            amount=command.amount,
            currency=moment.account(command.account_id).currency,
            reference=command.reference,
            kind=command.kind,
        )
    ]


def debit(*, command: cmd.DebitAccount, moment: Moment) -> Events:
    """Money out, once per reference, never more than is free; credit that the house gave only the house takes back."""
    refusal = _money_refusal(command, moment)
    if refusal or command.reference in moment.state.references:
        return refusal
    funds, credit = moment.funds(command.account_id), moment.state.credits.get(command.account_id, ZERO)
    kept = ZERO if command.kind in CREDIT else credit_left(credit=credit, balance=funds.balance)
    free = min(funds.free_margin, funds.balance) - kept
    if not funds.priced or free < command.amount:
        return [_refused("FUNDS_NOT_FREE", "amount", f"{max(free, 0)} is free")]
    return [
        ev.AccountDebited(
            account_id=command.account_id,
            amount=command.amount,
            currency=moment.account(command.account_id).currency,
            reference=command.reference,
            kind=command.kind,
        )
    ]


def _money_refusal(command: cmd.CreditAccount | cmd.DebitAccount, moment: Moment) -> Events:
    if command.account_id not in moment.state.accounts:
        return [_refused("ACCOUNT_UNKNOWN", "account_id", "no such account")]
    if not (command.amount.is_finite() and command.amount > 0):
        return [_refused("AMOUNT_NOT_POSITIVE", "amount", "an amount is more than nothing")]
    if command.amount > AMOUNT_MAX or command.amount % AMOUNT_STEP:
        text = f"the books take at most {AMOUNT_MAX}, in whole steps of {plain(AMOUNT_STEP)}"
        return [_refused("AMOUNT_UNUSABLE", "amount", text)]
    return []


def _refused(code: str, field: str, text: str) -> ev.CommandRefused:
    return ev.CommandRefused(code=code, field=field, text=text)
