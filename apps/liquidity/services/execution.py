"""Best execution at work: the policy and measured markouts to the engine, venues from shadow to live and back."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import structlog
from django.db import transaction

from apps.liquidity import selectors
from apps.liquidity.models import ExecutionPolicy, LiquidityProvider, StageChange, VenueScorecard
from apps.liquidity.services.providers import tell_provider
from apps.outbox.services import tell_engine
from piggy.core.commands import ConfigureRouting, ScoreVenue
from piggy.core.money import ZERO

AUTOMATIC = "automatic"
STEP_BPS = Decimal("0.05")
CARDS_AGE_S_MAX = 30
Stage = LiquidityProvider.Stage

log = structlog.get_logger(__name__)


def tell_policy(*, tenant: str, policy: ExecutionPolicy, by: str) -> None:
    """Give the policy its next version and tell the engine; the next order is routed by it."""
    with transaction.atomic():
        current = ExecutionPolicy.objects.select_for_update().get(pk=policy.pk)
        policy.version = current.version + 1
        ExecutionPolicy.objects.filter(pk=policy.pk).update(version=policy.version)
        version = str(policy.version)
        command = ConfigureRouting(policy=policy.to_core())
        tell_engine(tenant=tenant, command=command, reference="routing", version=version, by=by)


def keep_scorecards(*, tenant: str, now: datetime) -> int:
    """Keep what the engine measured, once a minute, and tell it each venue's markout as the policy weighs it.

    Returns how many venues were scored anew. Old figures, as of an engine that is away, are not used.
    """
    taken = selectors.scorecards(tenant=tenant)
    if taken is None or abs((now - taken.at).total_seconds()) > CARDS_AGE_S_MAX:
        return 0
    minute = now.replace(second=0, microsecond=0)
    VenueScorecard.objects.bulk_create(
        [VenueScorecard(venue=card["venue"], taken_at=minute, card=card) for card in taken.venues],
        ignore_conflicts=True,
    )
    policy = selectors.policy()
    scored = 0
    for card in taken.venues:
        markout = _markout_bps(card, policy)
        if abs(markout - Decimal(card["cost_markout_bps"])) >= STEP_BPS:
            scored += 1
            with transaction.atomic():
                tell_engine(
                    tenant=tenant,
                    command=ScoreVenue(venue=card["venue"], markout_bps=markout),
                    reference=f"score:{card['venue']}",
                    version=now.isoformat(),
                    by=AUTOMATIC,
                )
    return scored


def set_stage(
    *, tenant: str, provider: LiquidityProvider, before: str, reason: str, by: str, now: datetime
) -> StageChange:
    """Note that a venue changed its stage from `before`, with who and why, and tell the engine."""
    with transaction.atomic():
        LiquidityProvider.objects.filter(pk=provider.pk).update(stage=provider.stage, staged_at=now)
        change = StageChange.objects.create(
            provider=provider, before=before, after=provider.stage, reason=reason[:300], by=by, at=now
        )
        tell_provider(tenant=tenant, provider=provider, by=by, reason=reason)
    return change


def review_canaries(*, tenant: str, now: datetime) -> list[StageChange]:
    """Send a canary back to shadow that rejects in a storm, or is dearer than the live venues by the policy's bound."""
    taken = selectors.scorecards(tenant=tenant)
    cards = {card["venue"]: card for card in taken.venues} if taken else {}
    policy = selectors.policy()
    changes = []
    for provider in LiquidityProvider.objects.filter(stage=Stage.CANARY):
        reason = _fault(provider, cards.get(provider.name), policy)
        if reason and (change := _roll_back(tenant, provider, reason, now)):
            changes.append(change)
    return changes


def _roll_back(tenant: str, provider: LiquidityProvider, reason: str, now: datetime) -> StageChange | None:
    """Send a canary back to shadow; None where somebody else did so meanwhile (F-26)."""
    with transaction.atomic():
        canary = LiquidityProvider.objects.select_for_update().filter(pk=provider.pk, stage=Stage.CANARY).first()
        if canary is None:
            return None
        canary.stage = Stage.SHADOW
        change = set_stage(tenant=tenant, provider=canary, before=Stage.CANARY, reason=reason, by=AUTOMATIC, now=now)
    log.error("canary_rolled_back", tenant=tenant, venue=provider.name, reason=reason)
    return change


def _fault(provider: LiquidityProvider, card: selectors.Card | None, policy: ExecutionPolicy) -> str:
    if card is not None and card["trading_state"] != "active":
        return f"its route is {card['trading_state']}: {card['rejects_in_a_row']} rejects in a row"
    mine = selectors.execution_cost(venues=[provider.name], since=provider.staged_at)
    live = LiquidityProvider.objects.filter(stage=Stage.LIVE, enabled=True).values_list("name", flat=True)
    theirs = selectors.execution_cost(venues=list(live), since=provider.staged_at)
    if min(mine.fills, theirs.fills) < policy.canary_fills_min:
        return ""
    worse = mine.bps - theirs.bps
    if worse <= policy.canary_worse_bps_max:
        return ""
    return f"{worse:.3f} bp dearer than the live venues over {mine.fills} fills"


def _markout_bps(card: selectors.Card, policy: ExecutionPolicy) -> Decimal:
    found = next((each for each in card["markouts"] if each["after_ms"] == policy.markout_after_ms), None)
    if found is None or found["samples"] < policy.markout_samples_min or found["mean_bps"] is None:
        return ZERO
    return Decimal(found["mean_bps"]).quantize(STEP_BPS)
