"""Draft, let in, withdraw: one person writes a policy, another makes it live, and the engine is told at once."""

from __future__ import annotations

from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max

from apps.accounts import selectors as accounts
from apps.instruments import selectors as instruments
from apps.outbox.services import retell_settings, tell_setting
from apps.policies import selectors
from apps.policies.models import ANY_SYMBOL, OF_GROUP, OF_SYMBOL, Kind, Policy, UnableToReadPolicy


class UnableToDecidePolicy(Exception):
    """The policy stays as it is; the message may be shown to staff."""


def save_draft(*, policy: Policy, by: str) -> Policy:
    """Write a new or changed draft; `by` is its writer from now on. Raises ValidationError naming the field."""
    if policy.state != Policy.State.DRAFT:
        raise ValidationError("Only a draft is changed; write a new one.")
    check_draft(policy=policy)
    with transaction.atomic():
        if not policy.is_saved:
            same = Policy.objects.filter(kind=policy.kind, group=policy.group, symbol=policy.symbol)
            policy.version = (same.aggregate(last=Max("version"))["last"] or 0) + 1
        policy.written_by = by
        policy.save()
    return policy


def check_draft(*, policy: Policy) -> None:
    """Raise ValidationError where the policy names nobody's group or symbol, or its body cannot be used."""
    faults: dict[str, str] = {}
    needs_group, needs_symbol = policy.kind in OF_GROUP, policy.kind in OF_SYMBOL
    if needs_group is not bool(policy.group) or (
        policy.group and not accounts.all_groups().filter(name=policy.group).exists()
    ):
        faults["group"] = "Name a group of yours." if needs_group else "This kind has no group."
    has_any = policy.kind in (Kind.PRICING, Kind.MARGIN)
    is_known = (has_any and policy.symbol == ANY_SYMBOL) or instruments.instrument_exists(symbol=policy.symbol)
    if needs_symbol is not bool(policy.symbol) or (policy.symbol and not is_known):
        faults["symbol"] = "Name a symbol of yours." if needs_symbol else "This kind has no symbol."
    if not faults:
        try:
            Policy(**{**_named(policy), "version": policy.version or 1}).to_core()
        except UnableToReadPolicy as error:
            faults["body"] = str(error)
    if faults:
        raise ValidationError(faults)


def approve(*, tenant: str, policy_id: int, by: str, at: datetime) -> Policy:
    """Make a draft live as its second person; the version before it is replaced, and the engine is told.

    Raises UnableToDecidePolicy.
    """
    with transaction.atomic():
        policy = _draft(policy_id)
        if policy.written_by == by:
            raise UnableToDecidePolicy("A policy needs a second pair of eyes.")
        before = selectors.live_version(kind=policy.kind, group=policy.group, symbol=policy.symbol)
        if before is not None:
            before.state = Policy.State.REPLACED
            before.save(update_fields=["state"])
        policy.state, policy.decided_by, policy.decided_at = Policy.State.LIVE, by, at
        policy.save()
        tell_setting(tenant=tenant, row=policy, by=by)
    return policy


def withdraw(*, policy_id: int, by: str, at: datetime) -> Policy:
    """Drop a draft; it stays in the history. Raises UnableToDecidePolicy."""
    with transaction.atomic():
        policy = _draft(policy_id)
        policy.state, policy.decided_by, policy.decided_at = Policy.State.WITHDRAWN, by, at
        policy.save()
    return policy


def sync_engine(*, tenant: str, by: str, mark: str) -> int:
    """Tell the engine every live policy anew; `mark` makes this re-telling distinct from earlier ones."""
    return retell_settings(tenant=tenant, rows=list(selectors.live_policies()), by=by, mark=mark)


def _draft(policy_id: int) -> Policy:
    policy = Policy.objects.select_for_update().filter(pk=policy_id, state=Policy.State.DRAFT).first()
    if policy is None:
        raise UnableToDecidePolicy("This is no draft any more, or there is none.")
    return policy


def _named(policy: Policy) -> dict[str, object]:
    return {"kind": policy.kind, "group": policy.group, "symbol": policy.symbol, "body": policy.body}
