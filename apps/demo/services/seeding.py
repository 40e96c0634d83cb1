"""One demo broker from nothing to ready: everything by the verbs that staff would use, and everything repeatable."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from apps.accounts import selectors as account_rows
from apps.accounts import services as accounts
from apps.accounts.services import Account, Group
from apps.demo.services import catalogue, people
from apps.demo.services.catalogue import Broker
from apps.demo.services.people import Login
from apps.instruments import selectors as instrument_rows
from apps.instruments import services as instruments
from apps.instruments.services import Instrument
from apps.liquidity import selectors as liquidity_rows
from apps.liquidity import services as liquidity
from apps.risk import selectors as risk_rows
from apps.risk import services as risk
from apps.risk.services import GroupLimits
from apps.trading import selectors as trading_rows
from apps.trading import services as trading
from apps.trading.services import Strategy
from apps.treasury import selectors as treasury_rows
from apps.treasury import services as treasury
from apps.users.selectors import user_named

BY = "demo"
PASSWORD_BYTES = 32


def seed(*, broker: Broker, known: dict[tuple[str, str], Login], now: datetime, lp_port: int) -> list[Login]:
    """Bring one tenant (inside its schema) to the demo's state; return its logins. LP ports rise from `lp_port`."""
    logins = people.staff(broker=broker, known=known)
    _symbols(broker, now)
    _providers(broker, lp_port, now)
    groups = _groups(broker)
    _limits(broker, groups)
    _review(broker, now)
    for number, (name, full_name, group, currency) in enumerate(catalogue.CLIENTS):
        login = people.client(broker=broker, name=name, known=known)
        logins.append(login)
        account_id = catalogue.account_id(broker=broker, number=number)
        _account(broker, login, full_name, account_id, groups[group], currency)
        _deposit(broker, account_id, currency, now)
    _strategy(broker)
    return logins


def _symbols(broker: Broker, now: datetime) -> None:
    for row in (*catalogue.INSTRUMENTS, _option(now)):
        if row["asset_class"] == "option" and instrument_rows.has_option(underlying=row["option_underlying"]):
            continue
        if not instrument_rows.instrument_exists(symbol=row["symbol"]):
            instruments.set_up_instrument(tenant=broker.schema, instrument=Instrument(**row), by=BY)


def _option(now: datetime) -> dict[str, Any]:
    expires_at = (now + timedelta(days=catalogue.OPTION_DAYS)).replace(hour=15, minute=0, second=0, microsecond=0)
    row = dict(catalogue.INSTRUMENTS[0])
    return row | {
        "symbol": "EURUSD-C-1.1000",
        "asset_class": "option",
        "option_underlying": "EURUSD",
        "option_kind": "call",
        "option_strike": Decimal("1.1"),
        "option_expires_at": expires_at,
    }


def _providers(broker: Broker, lp_port: int, now: datetime) -> None:
    """The simulated LPs call symbols as we do and count in units."""
    terms = [
        liquidity.SymbolTerms(symbol=row["symbol"], venue_symbol=row["symbol"], units_per_lot=row["contract_size"])
        for row in catalogue.INSTRUMENTS
    ]
    ports = {provider.name: provider.port for provider in liquidity_rows.providers()}
    for at, name in enumerate(catalogue.LPS):
        if ports.get(name) != lp_port + at:
            liquidity.add_provider(tenant=broker.schema, name=name, port=lp_port + at, symbols=terms, by=BY)
    _passwords(broker, now)


def _passwords(broker: Broker, now: datetime) -> None:
    """Written by one person and let in by another, as always; the simulated LPs look them up in the vault."""
    asking, approving = (user_named(username=f"{role}@{broker.schema}") for role in ("dealer", "admin"))
    for provider in liquidity_rows.providers():
        if not liquidity_rows.has_credential(venue=provider.name):
            secret = secrets.token_urlsafe(PASSWORD_BYTES)
            change = liquidity.request_credential(
                tenant=broker.schema, provider=provider, kind="password", secret=secret, by=asking
            )
            liquidity.approve_credential(tenant=broker.schema, change_id=change.pk, by=approving, at=now)


def _groups(broker: Broker) -> dict[str, Group]:
    found = {group.name: group for group in account_rows.all_groups()}
    for row in catalogue.GROUPS:
        if row["name"] not in found:
            found[row["name"]] = accounts.set_up_group(tenant=broker.schema, group=Group(**row), by=BY)
    return found


def _limits(broker: Broker, groups: dict[str, Group]) -> None:
    known = {limits.group_id for limits in risk_rows.all_limits()}
    for group in groups.values():
        if group.pk not in known:
            limits = GroupLimits(group_id=group.pk, **catalogue.LIMITS)
            risk.save_limits(tenant=broker.schema, limits=limits, by=BY)


def _review(broker: Broker, now: datetime) -> None:
    """Without a signed review of the controls nobody trades."""
    if risk_rows.latest_review() is None:
        risk.sign_review(tenant=broker.schema, reference="demo review", by=f"compliance@{broker.schema}", at=now)


def _account(broker: Broker, login: Login, name: str, account_id: str, group: Group, currency: str) -> None:
    user = user_named(username=login.login)
    if account_rows.account_of(user=user, account_id=account_id) is not None:
        return
    client = accounts.register_client(user=user, reference=f"C-{account_id}", name=name, kyc_approved=True)
    account = Account(account_id=account_id, client=client, group=group, currency=currency)
    accounts.save_account(tenant=broker.schema, account=account, by=BY)


def _deposit(broker: Broker, account_id: str, currency: str, now: datetime) -> None:
    """Two people put money in, as always."""
    reference = f"demo-{account_id}"
    if treasury_rows.has_deposit(reference=reference):
        return
    asking, approving = (user_named(username=f"{role}@{broker.schema}") for role in ("treasury", "admin"))
    deposit = treasury.request_deposit(
        account_id=account_id, amount=catalogue.DEPOSIT, currency=currency, reference=reference, by=asking
    )
    treasury.approve_deposit(tenant=broker.schema, deposit_id=deposit.pk, by=approving, at=now)


def _strategy(broker: Broker) -> None:
    if not any(row.strategy_id == catalogue.STRATEGY for row in trading_rows.all_strategies()):
        strategy = Strategy(
            strategy_id=catalogue.STRATEGY,
            account_id=catalogue.account_id(broker=broker, number=0),
            quantity_max=Decimal(5),
        )
        trading.save_strategy(tenant=broker.schema, strategy=strategy, by=BY)
