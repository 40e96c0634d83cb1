from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from apps.accounts import selectors
from apps.accounts.models import Account, Client, Group
from apps.outbox.services import SET_UP, retell_settings, save_setting
from piggy.core import accounts as core


class UnableToChangeGroup(Exception):
    """Nothing was written; the message may be shown to staff."""


def set_up_group(*, tenant: str, group: Group, by: str, reason: str = SET_UP) -> Group:
    """Write a group that there was none of, as set-up does for a new broker, and tell the engine.

    The one way past a draft and its second person, so it never changes a group: raises UnableToChangeGroup where it is
    there already, django's ValidationError, whose messages name the field and its limit.
    """
    if group.version:
        raise UnableToChangeGroup(f"{group.name} is there already; it is changed by a draft.")
    save_setting(tenant=tenant, row=group, by=by, reason=reason)
    return group


def put_group(*, tenant: str, group: core.Group, by: str, reason: str) -> Group:
    """Write a new or changed group as two people decided and tell the engine; the next order records its version.

    Raises ValidationError naming a field.
    """
    with transaction.atomic():
        row = Group.objects.select_for_update().filter(name=group.name).first() or Group(name=group.name)
        row.take(group=group)
        save_setting(tenant=tenant, row=row, by=by, reason=reason)
    return row


def check_group(*, group: core.Group) -> None:
    """Raise ValidationError, naming the field and its limit, where a group could not be written."""
    row = Group.objects.filter(name=group.name).first() or Group(name=group.name)
    row.take(group=group)
    row.full_clean()


def change_group(*, tenant: str, name: str, changes: Mapping[str, Any], by: str, reason: str) -> dict[str, Any]:
    """Change some fields of a group for a while and tell the engine; return what they were.

    Raises UnableToChangeGroup where there is none, ValidationError naming a field.
    """
    with transaction.atomic():
        group = Group.objects.select_for_update().filter(name=name).first()
        if group is None:
            raise UnableToChangeGroup(f"There is no group {name}.")
        before = {field: getattr(group, field) for field in changes}
        for field, value in changes.items():
            setattr(group, field, value)
        save_setting(tenant=tenant, row=group, by=by, reason=reason)
    return before


def save_account(*, tenant: str, account: Account, by: str, reason: str = "") -> Account:
    """Write a new or changed account and tell the engine. Raises ValidationError, naming the field.

    What one that is there is routed, margined and limited by is changed by two people: `put_terms`.
    """
    held = Account.objects.filter(pk=account.pk).first()
    changed = [name for name in selectors.TERMS if held and getattr(held, name) != getattr(account, name)]
    if changed:
        raise ValidationError({changed[0]: "This is changed by a draft that another person approves."})
    save_setting(tenant=tenant, row=account, by=by, reason=reason)
    return account


def put_terms(*, tenant: str, account_id: str, terms: Mapping[str, Any], by: str, reason: str) -> Account:
    """Give an account the terms (selectors.TERMS) that two people decided and tell the engine; the next order has them.

    Raises ValidationError naming a field.
    """
    with transaction.atomic():
        row = Account.objects.select_for_update().get(account_id=account_id)
        _take_terms(row, terms)
        save_setting(tenant=tenant, row=row, by=by, reason=reason)
    return row


def check_terms(*, account_id: str, terms: Mapping[str, Any]) -> None:
    """Raise ValidationError, naming the field, where an account could not be given these."""
    row = selectors.all_accounts().get(account_id=account_id)
    _take_terms(row, terms)
    row.full_clean()


def save_client(*, tenant: str, client: Client, by: str, reason: str = "") -> Client:
    """Write a new or changed client and tell the engine their accounts, whose orders hear of it from the next one on.

    Raises ValidationError, naming the field.
    """
    with transaction.atomic():
        client.full_clean()
        client.save()
        for account in selectors.all_accounts().select_for_update(of=("self",)).filter(client=client):
            save_setting(tenant=tenant, row=account, by=by, reason=reason)
    return client


def register_client(*, user: Any, reference: str, name: str, kyc_approved: bool) -> Client:
    """Give `user` a client profile, or bring the one they have up to date."""
    client, _ = Client.objects.update_or_create(
        user=user, defaults={"reference": reference, "name": name, "kyc_approved": kyc_approved}
    )
    return client


def _take_terms(row: Account, terms: Mapping[str, Any]) -> None:
    group = Group.objects.filter(name=terms["group"]).first()
    if group is None:
        raise ValidationError({"group": f"There is no group {terms['group']}."})
    row.group, row.category = group, terms["category"]
    row.category_evidence = terms.get("category_evidence") or ""
    row.category_evidenced_on = terms.get("category_evidenced_on")


def sync_engine(*, tenant: str, by: str, mark: str) -> int:
    """Tell the engine every group, then every account anew; `mark` makes this re-telling distinct from earlier ones."""
    rows: list[Group | Account] = [*selectors.all_groups(), *selectors.all_accounts()]
    return retell_settings(tenant=tenant, rows=rows, by=by, mark=mark)
