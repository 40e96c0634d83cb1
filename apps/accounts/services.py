from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from apps.accounts import selectors
from apps.accounts.models import Account, Client, Group
from apps.outbox.services import retell_settings, save_setting


class UnableToChangeGroup(Exception):
    """Nothing was written; the message may be shown to staff."""


def save_group(*, tenant: str, group: Group, by: str, reason: str = "") -> Group:
    """Write a new or changed group and tell the engine; its version grows, and the next order records it.

    Raises django's ValidationError, whose messages name the field and its limit.
    """
    save_setting(tenant=tenant, row=group, by=by, reason=reason)
    return group


def change_group(*, tenant: str, name: str, changes: Mapping[str, Any], by: str) -> dict[str, Any]:
    """Change some fields of a group and tell the engine; return what they were.

    Raises UnableToChangeGroup where there is none, ValidationError naming a field.
    """
    with transaction.atomic():
        group = Group.objects.select_for_update().filter(name=name).first()
        if group is None:
            raise UnableToChangeGroup(f"There is no group {name}.")
        before = {field: getattr(group, field) for field in changes}
        for field, value in changes.items():
            setattr(group, field, value)
        save_group(tenant=tenant, group=group, by=by)
    return before


def save_account(*, tenant: str, account: Account, by: str, reason: str = "") -> Account:
    """Write a new or changed account and tell the engine. Raises ValidationError, naming the field."""
    save_setting(tenant=tenant, row=account, by=by, reason=reason)
    return account


def register_client(*, user: Any, reference: str, name: str, kyc_approved: bool) -> Client:
    """Give `user` a client profile, or bring the one they have up to date."""
    client, _ = Client.objects.update_or_create(
        user=user, defaults={"reference": reference, "name": name, "kyc_approved": kyc_approved}
    )
    return client


def sync_engine(*, tenant: str, by: str, mark: str) -> int:
    """Tell the engine every group, then every account anew; `mark` makes this re-telling distinct from earlier ones."""
    rows: list[Group | Account] = [*selectors.all_groups(), *selectors.all_accounts()]
    return retell_settings(tenant=tenant, rows=rows, by=by, mark=mark)
