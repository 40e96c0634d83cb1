from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from django.core.exceptions import ValidationError
from django.db import transaction

from apps.accounts import selectors as accounts
from apps.common.times import microseconds
from apps.outbox.services import SET_UP, retell_settings, save_setting, tell_engine
from apps.risk import selectors
from apps.risk.models import ControlsReview, GroupLimits
from piggy.core.commands import ChangeLimits, RevertLimits, SignReview
from piggy.core.limits import OF_THE_GROUP, Limits


class UnableToChangeLimits(Exception):
    """Nothing was written; the message may be shown to staff."""


def save_limits(*, tenant: str, limits: GroupLimits, by: str, reason: str = SET_UP) -> GroupLimits:
    """Write a group's new or changed limits and tell the engine; effective on the group's next order.

    Raises django's ValidationError, whose messages name the field and its limit.
    """
    save_setting(tenant=tenant, row=limits, by=by, reason=reason)
    return limits


def put_limits(*, tenant: str, group: str, limits: Limits, by: str, reason: str) -> GroupLimits:
    """Write a group's limits as the core has them, but for what is the group's own, and tell the engine.

    Raises UnableToChangeLimits where there is no such group, ValidationError naming a field.
    """
    with transaction.atomic():
        known = accounts.all_groups().filter(name=group).first()
        if known is None:
            raise UnableToChangeLimits(f"There is no group {group}.")
        row = GroupLimits.objects.select_for_update().filter(group=known).first() or GroupLimits(group=known)
        row.take(limits=limits)
        return save_limits(tenant=tenant, limits=row, by=by, reason=reason)


def check_limits(*, group: str, limits: Limits) -> None:
    """Raise ValidationError, naming the field, where a group that there is could not be given these limits."""
    known = accounts.all_groups().get(name=group)
    row = GroupLimits.objects.filter(group=known).first() or GroupLimits(group=known)
    row.take(limits=limits)
    row.full_clean()


def sign_review(*, tenant: str, reference: str, by: str, at: datetime) -> ControlsReview:
    """Record that `by` certifies the yearly review of the controls (P-30) and tell the engine; it holds for a year."""
    with transaction.atomic():
        review = ControlsReview.objects.create(reference=reference, signed_by=by, signed_at=at)
        _tell_review(tenant=tenant, review=review, by=by)
    return review


def change_limits(
    *,
    tenant: str,
    group: str,
    changes: Mapping[str, Any],
    reason: str,
    asked_by: str,
    approved_by: str,
    reverts_at: datetime,
    mark: str,
) -> dict[str, Any]:
    """Have the engine hold a group to other limits until `reverts_at` (P-28); return what its own are.

    The group's own limits stay as they are written; the engine goes back to them by itself. `mark` names this change.
    Raises UnableToChangeLimits where there is no such group, ValidationError naming a field.
    """
    with transaction.atomic():
        known, limits, before = _changed(group, changes)
        command = ChangeLimits(
            group=group,
            limits=msgspec.structs.replace(limits.to_core(), **_of_the_group(known)),
            reason=reason,
            asked_by=asked_by,
            approved_by=approved_by,
            reverts_at_us=microseconds(reverts_at),
        )
        tell_engine(tenant=tenant, command=command, reference=f"limits-today:{group}", version=mark, by=approved_by)
    return before


def check_change(*, group: str, changes: Mapping[str, Any]) -> None:
    """Raise what `change_limits` would: UnableToChangeLimits, ValidationError naming the limit."""
    with transaction.atomic():
        _changed(group, changes)


def revert_limits(*, tenant: str, group: str, by: str, reason: str, mark: str) -> None:
    """Have the engine go back to a group's own limits now; nothing where it did already."""
    with transaction.atomic():
        command = RevertLimits(group=group, by=by, reason=reason)
        tell_engine(tenant=tenant, command=command, reference=f"limits-today:{group}", version=f"{mark} over", by=by)


def sync_engine(*, tenant: str, by: str, mark: str) -> int:
    """Tell the engine all limits and the latest review anew; `mark` makes this distinct from earlier re-tellings."""
    with transaction.atomic():
        told = retell_settings(tenant=tenant, rows=list(selectors.all_limits()), by=by, mark=mark)
        review = selectors.latest_review()
        if review is not None:
            _tell_review(tenant=tenant, review=review, by=by, mark=mark)
    return told + (review is not None)


def _changed(group: str, changes: Mapping[str, Any]) -> tuple[Any, GroupLimits, dict[str, Any]]:
    """Return a group and its limits with other values, unsaved, and what these were; both are locked.

    The engine is told all of them: what a draft changes at this moment is told too, not what it was before.
    """
    known = accounts.all_groups().select_for_update().filter(name=group).first()
    if known is None:
        raise UnableToChangeLimits(f"There is no group {group}.")
    limits = GroupLimits.objects.select_for_update().filter(group=known).first() or GroupLimits(group=known)
    before = {field: _change(field, value, limits, known) for field, value in changes.items()}
    limits.full_clean()
    _clean_group(known)
    return known, limits, before


def _change(field: str, value: Any, limits: GroupLimits, group: Any) -> Any:
    """Put a limit into whichever of the two rows says it, unsaved; return what it was."""
    row, name = (group, OF_THE_GROUP[field]) if field in OF_THE_GROUP else (limits, field)
    before = getattr(row, name)
    setattr(row, name, value)
    return before


def _clean_group(group: Any) -> None:
    """Hold what the group would say to its own bounds. Raises ValidationError naming the limit."""
    try:
        group.clean_fields(exclude={field.name for field in group._meta.fields} - set(OF_THE_GROUP.values()))
    except ValidationError as error:
        named = {limit: error.message_dict[name] for limit, name in OF_THE_GROUP.items() if name in error.message_dict}
        raise ValidationError(named) from error


def _of_the_group(group: Any) -> dict[str, Any]:
    core = group.to_core()
    return {limit: getattr(core, name) for limit, name in OF_THE_GROUP.items()}


def _tell_review(*, tenant: str, review: ControlsReview, by: str, mark: str = "") -> None:
    signed_at_us = int(review.signed_at.timestamp()) * 1_000_000
    tell_engine(
        tenant=tenant,
        command=SignReview(signed_by=review.signed_by, reference=review.reference, signed_at_us=signed_at_us),
        reference="review",
        version=f"{review.pk}{mark}",
        by=by,
    )
