"""The people's rows behind a bench's accounts: python -m piggy.bench.clients TENANT ACCOUNTS [LP_PORT]."""

from __future__ import annotations

import sys
import uuid
from decimal import Decimal

import django

from piggy.bench.opening import SYMBOLS, VENUES

LOT_UNITS = Decimal(100_000)


def main(*, tenant: str, accounts: int, port: int = 0) -> None:
    """Make one client that holds every account `c0`, `c1` and so on; the engine hears nothing of them.

    With a port also the LP `LP1` there, of which it does hear.
    """
    django.setup()
    from apps.accounts import services
    from apps.liquidity import services as providers
    from apps.tenants.services import in_tenant
    from apps.users.services import create_client_user

    with in_tenant(tenant):
        user = create_client_user(username="bench", password=uuid.uuid4().hex)
        client = services.register_client(user=user, reference="bench", name="Bench", kyc_approved=True)
        group = services.set_up_group(
            tenant=tenant, group=services.Group(name="bench", order_notional_max=10_000_000), by="bench"
        )
        rows = [
            services.Account(account_id=f"c{number}", client=client, group=group, currency="USD")
            for number in range(accounts)
        ]
        services.Account.objects.bulk_create(rows)
        if port:
            terms = [providers.SymbolTerms(symbol, symbol, LOT_UNITS) for symbol in SYMBOLS]
            providers.add_provider(tenant=tenant, name=VENUES[0], port=port, symbols=terms, by="bench")


if __name__ == "__main__":
    main(tenant=sys.argv[1], accounts=int(sys.argv[2]), port=int(sys.argv[3]) if sys.argv[3:] else 0)
