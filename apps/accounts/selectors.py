from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet

from apps.accounts.models import Account, Client, Group
from piggy.core import accounts as core
from piggy.core.accounts import ClientCategory
from piggy.core.clearance import Permissions

# Of an account's record: what it is routed, margined and limited by, which two people change together.
TERMS = ("group", "category", "category_evidence", "category_evidenced_on")


def all_groups() -> QuerySet[Group]:
    """Return the tenant's groups by name."""
    return Group.objects.order_by("name")


def group_notes() -> dict[str, str]:
    """Return what each setting of a group is, by its name."""
    return {field.name: str(field.help_text) for field in Group._meta.fields if field.help_text}


def all_accounts() -> QuerySet[Account]:
    """Return the tenant's accounts by id, with group and client."""
    return Account.objects.select_related("group", "client").order_by("account_id")


def accounts_of(*, user: Any) -> QuerySet[Account]:
    """Return the accounts that `user` may trade and read: those of their own client profile, for staff none."""
    return all_accounts().filter(client__user_id=user.pk)


def account_of(*, user: Any, account_id: str) -> Account | None:
    """Return the account if it is one of the user's own, None alike where it is another's and where there is none."""
    return accounts_of(user=user).filter(account_id=account_id).first()


def ids_of_client(*, words: str) -> QuerySet[Account, Any]:
    """Return the ids of all accounts whose client has these words in their name, or as reference; not yet asked for."""
    named = Q(client__name__icontains=words.strip()) | Q(client__reference__iexact=words.strip())
    return Account.objects.filter(named).values("account_id")


def account_in_core(*, account_id: str) -> core.Account:
    """Return the engine's copy of an account that there is."""
    return all_accounts().get(account_id=account_id).to_core()


def clearance_in_core(*, account_id: str) -> Permissions | None:
    """Return what the engine is told with an account that there is, of what its client is cleared for."""
    return all_accounts().get(account_id=account_id).clearance


def terms_of_accounts(*, account_id: str | None = None) -> dict[str, dict[str, Any]]:
    """Return the TERMS of every account, or of one, by account id; what is not set is left out."""
    chosen = all_accounts() if account_id is None else all_accounts().filter(account_id=account_id)
    rows = chosen.values_list("account_id", "group__name", *TERMS[1:])
    return {row[0]: {name: value for name, value in zip(TERMS, row[1:], strict=True) if value} for row in rows}


def currencies_of(*, account_ids: set[str]) -> dict[str, str]:
    """Return the currency of each account id that exists."""
    return dict(Account.objects.filter(account_id__any_of=account_ids).values_list("account_id", "currency"))


def retail_currencies() -> dict[str, str]:
    """Return the currency of every account whose client is retail."""
    retail = Account.objects.filter(category=ClientCategory.RETAIL.value)
    return dict(retail.values_list("account_id", "currency"))


def client_of(*, user: Any) -> Client | None:
    """Return the user's client profile, None for staff."""
    return Client.objects.filter(user_id=user.pk).first()


def client_exists(*, reference: str) -> bool:
    """Return whether the tenant has a client of that reference."""
    return Client.objects.filter(reference=reference).exists()


def client_references() -> list[str]:
    """Return the references of the tenant's clients."""
    return list(Client.objects.order_by("reference").values_list("reference", flat=True))
