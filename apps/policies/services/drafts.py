"""Draft, let in, withdraw: one person writes a policy, another makes it live, and the engine is told at once."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import Max

from apps.accounts import selectors as accounts
from apps.accounts import services as groups
from apps.instruments import selectors as instruments
from apps.instruments import services as symbols
from apps.liquidity import selectors as venues
from apps.liquidity import services as liquidity
from apps.outbox.services import retell_settings, tell_setting
from apps.policies import selectors
from apps.policies.models import ANY_SYMBOL, FIRM, NAMED_BY, OF_RECORD, STRUCTS, Kind, Policy, UnableToReadPolicy
from apps.policies.services.wording import in_words
from apps.risk import services as risk
from piggy.core.hedge_policies import misfit
from piggy.core.hedging import HedgePolicy

NOT_A_DRAFT = "Only a draft is changed; write a new one."


class UnableToDecidePolicy(Exception):
    """The policy stays as it is; the message may be shown to staff. `code`: over, own, changed or unusable."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


def save_draft(*, policy: Policy, by: str) -> Policy:
    """Write a new or changed draft; `by` is its writer from now on. Raises ValidationError naming the field."""
    if policy.state != Policy.State.DRAFT:
        raise ValidationError(NOT_A_DRAFT)
    check_draft(policy=policy)
    with transaction.atomic():
        _hold(policy)
        if policy.is_saved:
            if not Policy.objects.filter(pk=policy.pk, state=Policy.State.DRAFT).exists():
                raise ValidationError(NOT_A_DRAFT)
        else:
            last = Policy.objects.filter(**policy.named).aggregate(last=Max("version"))["last"]
            policy.version = (last or 0) + 1
        policy.written_by = by
        policy.save()
    return policy


def check_draft(*, policy: Policy) -> None:
    """Raise ValidationError where the policy names nobody's group or symbol, or its body cannot be used."""
    faults = {name: text for name, kinds in NAMED_BY if (text := _misnamed(policy, name, needs=policy.kind in kinds))}
    if not faults:
        try:
            made = Policy(**policy.named, body=policy.body, version=policy.version or 1).to_core()
            # An LP's symbols stand with its names for them.
            symbols_named = {getattr(each, "symbol", each) for each in getattr(made, "symbols", None) or ()}
            unknown = sorted(symbols_named - _symbols())
            if unknown:
                faults["body"] = f"symbols: there is no symbol {unknown[0]}."
        except UnableToReadPolicy as error:
            faults["body"] = in_words(text=str(error), struct=STRUCTS[policy.kind], body=policy.body)
        else:
            _check_record(policy, made)
    if faults:
        raise ValidationError(faults)


def approve(*, tenant: str, policy_id: int, by: str, at: datetime, seen: str | None = None) -> Policy:
    """Make a draft live as its second person; the version before it is replaced, and the engine is told.

    `seen` is the digest of what `by` looked at. Raises UnableToDecidePolicy, also where that was changed meanwhile.
    """
    with transaction.atomic():
        policy = _draft(policy_id)
        if policy.written_by == by:
            raise UnableToDecidePolicy("A policy needs a second pair of eyes.", code="own")
        if seen is not None and seen != policy.digest:
            raise UnableToDecidePolicy(f"{policy.written_by} changed it since you looked: look again.", code="changed")
        try:
            check_draft(policy=policy)
        except ValidationError as error:
            text = f"It cannot be used any more: {' '.join(error.messages)}"
            raise UnableToDecidePolicy(text, code="unusable") from error
        policy.replaced = selectors.live_body(**policy.named) or {}
        before = selectors.live_version(**policy.named)
        if before is not None:
            before.state = Policy.State.REPLACED
            before.save(update_fields=["state"])
        policy.state, policy.decided_by, policy.decided_at = Policy.State.LIVE, by, at
        policy.save()
        _make_live(tenant, policy, by, at)
    return policy


def withdraw(*, policy_id: int, by: str, at: datetime) -> Policy:
    """Drop a draft; it stays in the history. Raises UnableToDecidePolicy."""
    with transaction.atomic():
        policy = _draft(policy_id)
        policy.state, policy.decided_by, policy.decided_at = Policy.State.WITHDRAWN, by, at
        policy.save()
    return policy


def hold(*, policy_id: int) -> None:
    """Let nobody else write or decide this policy until the caller's transaction ends."""
    known = Policy.objects.filter(pk=policy_id).first()
    if known is not None:
        _hold(known)


def sync_engine(*, tenant: str, by: str, mark: str) -> int:
    """Tell the engine every live policy anew; `mark` makes this re-telling distinct from earlier ones."""
    rows = list(selectors.live_policies().exclude(kind__in=OF_RECORD))
    return retell_settings(tenant=tenant, rows=rows, by=by, mark=mark)


def _draft(policy_id: int) -> Policy:
    hold(policy_id=policy_id)
    policy = Policy.objects.filter(pk=policy_id, state=Policy.State.DRAFT).first()
    if policy is None:
        raise UnableToDecidePolicy("This is no draft any more, or there is none.", code="over")
    return policy


def _hold(policy: Policy) -> None:
    """Let nobody else write or decide versions of this policy until the transaction ends, also before it has any."""
    with connection.cursor() as cursor:
        name = f":{policy.reference}"
        cursor.execute("select pg_advisory_xact_lock(hashtextextended(current_schema() || %s, 0))", [name])


def _make_live(tenant: str, policy: Policy, by: str, at: datetime) -> None:
    """Write the record that the engine and changes for a while go by; where there is none, tell the engine."""
    made, told = policy.to_core(), {"tenant": tenant, "by": by, "reason": policy.reason}
    if policy.kind == Kind.LIMITS:
        risk.put_limits(group=policy.group, limits=made, **told)
    elif policy.kind == Kind.GROUP:
        groups.put_group(group=made, **told)
    elif policy.kind == Kind.INSTRUMENT:
        symbols.put_instrument(instrument=made, **told)
    elif policy.kind == Kind.VENUE:
        liquidity.put_terms(name=policy.owner, terms=msgspec.to_builtins(made, builtin_types=(Decimal,)), at=at, **told)
    elif policy.kind == Kind.ACCOUNT:
        groups.put_terms(account_id=policy.owner, terms=msgspec.structs.asdict(made), **told)
    else:
        tell_setting(row=policy, **told)


def _check_record(policy: Policy, made: Any) -> None:
    """Raise ValidationError where the record of a group or symbol would not take what a draft says."""
    try:
        if policy.kind == Kind.GROUP:
            groups.check_group(group=made)
        elif policy.kind == Kind.LIMITS:
            risk.check_limits(group=policy.group, limits=made)
        elif policy.kind == Kind.INSTRUMENT:
            symbols.check_instrument(instrument=made)
        elif policy.kind == Kind.VENUE:
            terms = msgspec.to_builtins(made, builtin_types=(Decimal,))
            liquidity.check_terms(name=policy.owner, terms=terms)
        elif policy.kind == Kind.ACCOUNT:
            groups.check_terms(account_id=policy.owner, terms=msgspec.structs.asdict(made))
        elif policy.kind == Kind.HEDGING:
            _check_hedging(made)
    except ValidationError as error:
        found = error.message_dict.items()
        named = {} if policy.kind in (Kind.ACCOUNT, Kind.HEDGING) else {"name": "group", "symbol": "symbol"}
        faults = {named[field]: texts for field, texts in found if field in named}
        texts = [text if field == "__all__" else f"{field}: {text}" for field, each in found for text in each]
        raise ValidationError(faults or {"body": texts}) from error


def _check_hedging(made: HedgePolicy) -> None:
    """Raise ValidationError where the policy fits its symbol or the other live ones as little as the engine lets it."""
    others: list[HedgePolicy] = []
    for row in selectors.live_policies().filter(kind=Kind.HEDGING).exclude(symbol=made.symbol):
        with suppress(UnableToReadPolicy):  # One of before a rule that it breaks is for its own next draft to mend.
            others.append(row.to_core())
    for other in others:
        if made.enabled and other.enabled and other.key == made.key:
            raise ValidationError({"key": f"{other.symbol}'s policy covers {made.key} already: switch that off first."})
    known = {row.symbol: row.to_core() for row in instruments.all_instruments()}
    if fault := misfit(policy=made, known=others, instruments=known):
        raise ValidationError({fault[0]: fault[1]})


def _misnamed(policy: Policy, name: str, *, needs: bool) -> str:
    """Return what is wrong with the group, symbol or owner of a policy, nothing where it is as its kind needs it."""
    value = getattr(policy, name)
    if not needs:
        return f"This kind has no {name}." if value else ""
    if name == "group" and policy.kind == Kind.GROUP:
        return "" if value else "Name a group; a new name makes a new one."
    if name == "symbol" and policy.kind == Kind.INSTRUMENT:
        return "" if value else "Name a symbol; a new name makes a new one."
    if name == "group":
        return "" if accounts.all_groups().filter(name=value).exists() else "Name a group of yours."
    if name == "symbol":
        is_any = policy.kind in (Kind.PRICING, Kind.MARGIN) and value == ANY_SYMBOL
        return "" if is_any or instruments.instrument_exists(symbol=value) else "Name a symbol of yours."
    if policy.kind == Kind.VENUE:
        return "" if venues.providers().filter(name=value).exists() else "Name an LP of yours."
    if policy.kind in (Kind.CLEARANCE, Kind.ACCOUNT):
        return "" if accounts.all_accounts().filter(account_id=value).exists() else "Name an account of yours."
    is_known = value in ("", FIRM) or accounts.client_exists(reference=value)
    return "" if is_known else f"Name a client's reference, {FIRM} for the firm, nothing for all of yours."


def _symbols() -> set[str]:
    return set(instruments.all_instruments().values_list("symbol", flat=True))
