"""Hedge policies: which may hold together, so that no hedge is dealt only to be undone by another policy.

One symbol is dealt in by one policy: the latest takes the place of the one before, whatever that covered. Policies that
cover currencies in different symbols may still lead in a circle, each making the risk that the next one covers; such a
one is refused, for it would deal without end at the cost of the spread.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.hedging import HedgePolicy, HedgeScope, policy_fault
from piggy.core.instruments import Instrument
from piggy.core.moment import Moment

Events = list[ev.AnyEvent]


def configure_hedging(*, command: cmd.ConfigureHedging, moment: Moment) -> Events:
    """Take a policy; what is under way under the old one goes on."""
    policy, state = command.policy, moment.state
    if policy.symbol not in state.instruments:
        return [_refused("SYMBOL_UNKNOWN", "symbol", f"no symbol is called {policy.symbol}")]
    known = state.hedge_policies
    if fault := misfit(policy=policy, known=known.values(), instruments=state.instruments):
        return [_refused("POLICY_UNUSABLE", *fault)]
    replaced = sorted(key for key, other in known.items() if _gives_way(other, policy))
    events: Events = [
        ev.HedgingConfigured(policy=msgspec.structs.replace(known[key], enabled=False)) for key in replaced
    ]
    held = known.get(policy.key)
    # What covers it in another symbol by now is not what this one switches off.
    moved_on = held is not None and held.symbol != policy.symbol and not policy.enabled
    return events if held == policy or moved_on else [*events, ev.HedgingConfigured(policy=policy)]


def misfit(
    *, policy: HedgePolicy, known: Collection[HedgePolicy], instruments: Mapping[str, Instrument]
) -> tuple[str, str] | None:
    """Return (field, what is wrong) of a policy for a symbol that there is, beside those `known`; None for a good one.

    Of `known` those count that it does not take the place of.
    """
    instrument = instruments[policy.symbol]
    if policy.scope is HedgeScope.CURRENCY and policy.key not in (instrument.base, instrument.quote):
        return "symbol", f"{policy.symbol} is not dealt in {policy.key}"
    if instrument.cross is not None:
        return "symbol", f"no venue deals {policy.symbol}, a cross: hedge in its legs"
    if fault := policy_fault(policy=policy):
        return "policy", fault
    others = [other for other in known if other.enabled and other.key != policy.key and other.symbol != policy.symbol]
    circle = _way_back((policy,), others, instruments) if policy.enabled else ()
    if circle:
        named = ", ".join(f"{each.key} in {each.symbol}" for each in circle)
        return "policy", f"hedges of {named} would undo each other without end"
    return None


def _gives_way(other: HedgePolicy, policy: HedgePolicy) -> bool:
    return other.enabled and other.symbol == policy.symbol and other.key != policy.key


def _way_back(
    way: tuple[HedgePolicy, ...], others: Collection[HedgePolicy], instruments: Mapping[str, Instrument]
) -> tuple[HedgePolicy, ...]:
    """Return the policies by which what the last of `way` deals comes back to the first; none where it never does."""
    if len(way) > 1 and _moves(way[-1], way[0], instruments):
        return way
    for other in others:
        goes_on = other not in way and _moves(way[-1], other, instruments)
        if goes_on and (found := _way_back((*way, other), others, instruments)):
            return found
    return ()


def _moves(dealt: HedgePolicy, other: HedgePolicy, instruments: Mapping[str, Instrument]) -> bool:
    """Whether what a policy deals changes the risk that another one, which deals in another symbol, looks at."""
    known = instruments.get(dealt.symbol)
    return other.scope is HedgeScope.CURRENCY and known is not None and other.key in (known.base, known.quote)


def _refused(code: str, field: str, text: str) -> ev.CommandRefused:
    return ev.CommandRefused(code=code, field=field, text=text)
