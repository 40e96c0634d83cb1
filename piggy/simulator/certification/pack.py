"""Which scenarios each venue must pass, run one after another on one ground; every one is tried, none hides another."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from piggy.simulator.certification import fix_scenarios as f
from piggy.simulator.certification import scenarios as s
from piggy.simulator.certification import venue_scenarios as v
from piggy.simulator.certification.fix_ground import FixGround
from piggy.simulator.certification.ground import Ground, UnableToPass, home_of
from piggy.simulator.certification.grounds import GROUNDS

log = logging.getLogger(__name__)

Scenario = Callable[[Any], None]
FIX: tuple[Scenario, ...] = (
    f.logon,
    f.wrong_password,
    f.quotes,
    f.submit_and_fill,
    f.partial,
    f.reject,
    f.cancel,
    f.replace,
    f.replace_refused,
    f.duplicate_id,
    f.status_on_doubt,
    f.mass_status,
    f.sequence_gap,
    f.filled_while_away,
    f.lp_killed,
    f.symbols,
    f.wrong_mapping,
    f.nothing_missing,
)
COMMON: tuple[Scenario, ...] = (
    s.logon,
    s.quotes,
    s.gap_and_resync,
    s.repeated_depth,
    s.submit_and_fill,
    s.partial,
    s.reject,
    s.cancel,
    s.replace,
    s.duplicate_id,
    s.cut_before_the_venue,
    s.cut_after_the_venue,
    s.server_error,
    s.streams_cut,
    s.filled_while_away,
    s.muted_stream,
    s.repeated_events,
    s.symbols,
    s.rate_limit,
    s.account,
)
STREAMED = (s.replace, s.gap_and_resync, s.repeated_depth, s.repeated_events)
# Without a stream there is no depth to lose updates of, and no event to repeat.
POLLED = (*(one for one in COMMON if one not in STREAMED), s.replace_refused, s.nothing_missing)
PACKS: dict[str, tuple[Scenario, ...]] = {
    "fix": FIX,
    "binance": (*COMMON, v.clock, s.nothing_missing),
    "binance_usdm": (*COMMON, v.clock, s.nothing_missing),
    "oanda": (*COMMON, s.nothing_missing),
    # Its orders cannot be changed in place; all else comes over ccxt.pro's streams.
    "ccxt": (*(one for one in COMMON if one is not s.replace), s.replace_refused, s.nothing_missing),
    "generic": POLLED,
    "mt5": (v.agent_logon, *(one for one in POLLED if one is not s.logon)),
    # A ticket is opened whole or not at all.
    "mt4": (v.agent_logon, v.whole_or_nothing, *(one for one in POLLED if one not in (s.logon, s.partial))),
    # The gateway does not say which message was one too many: our own pace must keep it from happening.
    "ibkr": (*(one for one in COMMON if one is not s.rate_limit), v.paced, v.restated, s.nothing_missing),
    "alpaca": (*(one for one in COMMON if one is not s.replace), s.replace_refused, v.restated, s.nothing_missing),
}


class UnableToCertify(Exception):
    """The venue has no pack, or no ground to run it on; the text says where to write it."""


class Result(NamedTuple):
    """One scenario: passed, or why not."""

    name: str
    passed: bool
    seconds: float
    text: str


def certify(
    *,
    venue: str,
    home: Path,
    ground: Ground | FixGround | None = None,
    told: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """Run the venue's pack and return every result; `told` hears each as it comes. Raises UnableToCertify."""
    if venue not in PACKS:
        raise UnableToCertify(f"{venue!r} has no line in PACKS of {__name__}; there are {', '.join(sorted(PACKS))}.")
    if ground is None and venue != "fix" and venue not in GROUNDS:
        raise UnableToCertify(f"{venue!r} has no line in GROUNDS of {__package__}.grounds.")
    scenarios = PACKS[venue]
    if ground is None:
        ground = FixGround(home=home_of(name=venue, home=home)) if venue == "fix" else GROUNDS[venue](home)
    ground.start()
    results = []
    try:
        for scenario in scenarios:
            result = _run(scenario, ground)
            results.append(result)
            told(result)
            if not result.passed and scenario is scenarios[0]:
                # Nothing else can pass without a session, and every try would wait its full time.
                break
    finally:
        ground.stop()
    return results


def _run(scenario: Scenario, ground: Ground | FixGround) -> Result:
    started = time.monotonic()
    text = ""
    try:
        scenario(ground)
    except UnableToPass as error:
        text = str(error)
    except Exception:
        log.exception("scenario broke", extra={"scenario": scenario.__name__})
        text = traceback.format_exc(limit=-3)
    ground.heal()
    return Result(scenario.__name__, not text, time.monotonic() - started, text)
