"""The people's rows of a bench's accounts, which projections ask for: python -m piggy.bench.clients TENANT ACCOUNTS."""

from __future__ import annotations

import sys
import uuid

import django


def main(*, tenant: str, accounts: int) -> None:
    """Make one client that holds every account `c0`, `c1` and so on; the engine hears nothing of it."""
    django.setup()
    from apps.accounts import services
    from apps.tenants.services import in_tenant
    from apps.users.services import create_client_user

    with in_tenant(tenant):
        user = create_client_user(username="bench", password=uuid.uuid4().hex)
        client = services.register_client(user=user, reference="bench", name="Bench", kyc_approved=True)
        group = services.save_group(tenant=tenant, group=services.Group(name="bench"), by="bench")
        rows = [
            services.Account(account_id=f"c{number}", client=client, group=group, currency="USD")
            for number in range(accounts)
        ]
        services.Account.objects.bulk_create(rows)


if __name__ == "__main__":
    main(tenant=sys.argv[1], accounts=int(sys.argv[2]))
