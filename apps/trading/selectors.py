from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
import redis
from django.conf import settings
from django.db import connection
from django.db.models import F, Max, QuerySet, Sum

from apps.accounts import selectors as accounts
from apps.audit import selectors as audit
from apps.trading.models import ChildOrder, Fill, Order, Position, Strategy
from piggy.core.events import told_decision, told_verdict
from piggy.core.orders import OF_A_POSITION, OrderState
from piggy.messaging import receipts, streams, withholding

_redis = redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=2, health_check_interval=30)

# The bytes of the id narrow down what has to be decoded; which order an event belongs to is then read from it.
EVENTS_OF_ORDER = """
select seq, command_id::text as command_id, position, type, version, principal, request_hash,
       (extract(epoch from occurred_at) * 1000000)::bigint as occurred_at_us,
       (extract(epoch from recorded_at) * 1000000)::bigint as recorded_at_us, recorded_mono_ns, payload, prev_hash, hash
  from event_log where seq between %s and %s and position(%s::bytea in payload) > 0 order by seq
"""

ENDED = [state.value for state in OrderState if state.final]
AT_VENUES = ("sent", "working", "partially_filled", "in_doubt")

# What each control of the gate looks at, in words.
CONTROLS = {
    "P-01": "trading state",
    "P-02": "account cleared",
    "P-03": "product permitted",
    "P-04": "restricted list",
    "P-05": "market open",
    "P-06": "well-formed",
    "P-07": "order value",
    "P-08": "order volume",
    "P-09": "price collar",
    "P-10": "market protection",
    "P-11": "price age",
    "P-12": "value in a window",
    "P-13": "duplicate",
    "P-14": "message rate",
    "P-15": "executions",
    "P-16": "reject storm",
    "P-17": "free margin",
    "P-18": "position caps",
    "P-19": "exposure caps",
    "P-20": "daily loss",
    "P-21": "share of volume",
    "P-22": "self-trade",
    "P-23": "short sale",
    "P-24": "leverage cap",
    "P-25": "kill switch",
    "P-26": "override",
    "P-30": "yearly review",
    "REDUCE_ONLY": "reduce only",
    "POSITION": "position",
    "POSITION_SIZE": "size of the position",
    "GUARANTEED_STOP": "guaranteed stop",
    "CROSS": "cross",
    "OCO": "one cancels the other",
}


class Decided(NamedTuple):
    """What an order's events hold beyond its row, as JSON has it: decimals are text."""

    terms: dict[str, Any]
    verdict: dict[str, Any]
    routing: dict[str, Any] | None


class RefusedSignals(NamedTuple):
    """Signals refused at the door, newest first: the strategy's `own`, and what came in its name without proof."""

    own: list[dict[str, Any]]
    unproven: list[dict[str, Any]]


def decided(*, seq: int, routed_seq: int) -> Decided:
    """Return what was asked, what the gate said and where the order went, of an order's row. Raises UnableToRead."""
    first = _event(seq)
    routing = _event(routed_seq).routing if routed_seq else None
    return Decided(
        terms=_as_json(msgspec.structs.asdict(first.terms)),
        verdict=_as_json(told_verdict(verdict=first.verdict)),
        routing=_as_json(told_decision(decision=routing)) if routing else None,
    )


def sides_of(*, order_ids: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return symbol and side of each order that there is, as the tables have it."""
    rows = Order.objects.filter(order_id__any_of=list(order_ids)).values_list("order_id", "symbol", "side")
    return {order_id: (symbol, side) for order_id, symbol, side in rows}


def with_terms(*, lines: Sequence[Order]) -> Sequence[Order]:
    """Return orders with the `terms` that their first events hold. Raises UnableToRead.

    What an amendment may change is in the row, and there as it is now.
    """
    firsts: dict[int, Any] = audit.events_at(tenant=_tenant(), seqs=[row.seq for row in lines]) if lines else {}
    for row in lines:
        row.terms = firsts[row.seq].terms
    return lines


def _tenant() -> str:
    return str(connection.schema_name)  # type: ignore[attr-defined]


def _event(seq: int) -> Any:
    tenant = _tenant()
    (row,) = audit.events(tenant=tenant, after=seq - 1, until=seq)
    return row.recorded.event


def _as_json(value: dict[str, Any]) -> dict[str, Any]:
    return dict(msgspec.json.decode(msgspec.json.encode(value)))


def orders_of(*, user: Any) -> QuerySet[Order]:
    """Return the orders of the user's own accounts."""
    return Order.objects.filter(account_id__in=_account_ids(user))


def order_of(*, user: Any, order_id: str) -> Order | None:
    """Return the order if it is the user's own, None alike where it is another's and where there is none."""
    return orders_of(user=user).filter(order_id=order_id).first()


def receipt_of(*, tenant: str, user: Any, order_id: str) -> dict[str, Any] | None:
    """Return the execution receipt of the user's own order, None alike where it is another's and where there is none.

    Figures of others than its client are withheld. Once the order has ended and nothing of it is outstanding, the same
    receipt comes for ever.
    """
    order = order_of(user=user, order_id=order_id)
    if order is None:
        return None
    shown = withholding.for_client(events=_events_of(order), first_hash=_first_hash())
    return receipts.receipt(tenant=tenant, order_id=order_id, events=shown)


def receipt_for_staff(*, tenant: str, order_id: str) -> dict[str, Any] | None:
    """Return the whole execution receipt of any order, with what opens its client's; None where there is none."""
    order = Order.objects.filter(order_id=order_id).first()
    if order is None:
        return None
    events, first = _events_of(order), _first_hash()
    sealed = [each["seq"] for each in withholding.for_client(events=events, first_hash=first) if "seal" in each]
    opens = {str(seq): withholding.salt_of(first_hash=first, seq=seq) for seq in sealed}
    return receipts.receipt(tenant=tenant, order_id=order_id, events=events, opens=opens)


def _events_of(order: Order) -> list[dict[str, Any]]:
    """Return an order's rows of the log, as a receipt takes them."""
    order_id = order.order_id
    with connection.cursor() as cursor:
        last_seq = max([order.last_seq, *legs_of(order_id=order_id).values_list("last_seq", flat=True)])
        cursor.execute(EVENTS_OF_ORDER, [order.seq, last_seq, order_id.encode()])
        names = [column.name for column in cursor.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return [
        {**row, **{name: bytes(row[name]).hex() for name in ("payload", "prev_hash", "hash")}}
        for row in rows
        if receipts.unpack(bytes(row["payload"])).get("order_id") == order_id
    ]


def _first_hash() -> bytes:
    with connection.cursor() as cursor:
        cursor.execute("select hash from event_log where seq = 1")
        return bytes(cursor.fetchone()[0])


def fills_of(*, user: Any) -> QuerySet[Fill]:
    """Return the fills of the user's own accounts."""
    return Fill.objects.filter(account_id__in=_account_ids(user))


def positions_of(*, user: Any) -> QuerySet[Position]:
    """Return the open positions of the user's own accounts."""
    return Position.objects.filter(account_id__in=_account_ids(user)).exclude(quantity=0)


def open_positions(*, account_ids: Iterable[str]) -> QuerySet[Position]:
    """Return the open positions of these accounts by id."""
    return Position.objects.filter(account_id__any_of=list(account_ids)).exclude(quantity=0).order_by("position_id")


def account_of_position(*, position_id: str) -> str | None:
    """Return the account of any client's open position, None where there is no such position."""
    found = Position.objects.filter(position_id=position_id).exclude(quantity=0)
    return found.values_list("account_id", flat=True).first()


def left_open(*, tenant: str) -> str:
    """Return what of a broker is not over yet, '' where all is: positions, orders, or a log that no table shows yet."""
    if behind := audit.not_projected(tenant=tenant, name="trading"):
        return f"{behind} events that its tables do not show yet"
    if Position.objects.exclude(quantity=0).exists():
        return "positions"
    if Order.objects.exclude(state__in=ENDED).exists():
        return "orders that work"
    # As a hedge's, which is of no client.
    return "orders at venues" if ChildOrder.objects.filter(state__in=AT_VENUES).exists() else ""


def booked_since(*, at: datetime) -> dict[str, Decimal]:
    """Return what each account that dealt since `at` made by its fills after what they cost it, in its currency."""
    sums = (
        Fill.objects.filter(filled_at__gte=at)
        .values("account_id")
        .annotate(net=Sum(F("realised") - F("commission") - F("premium")))
    )
    return dict(sums.values_list("account_id", "net"))


def used_margin_of(*, account_ids: Iterable[str]) -> dict[str, Decimal]:
    """Return the margin that the open positions of each account hold, in its currency."""
    held = Position.objects.filter(account_id__in=list(account_ids)).exclude(quantity=0)
    return dict(held.values("account_id").annotate(used=Sum("margin")).values_list("account_id", "used"))


def open_order_ids(*, account_ids: Iterable[str]) -> tuple[list[str], int]:
    """Return the orders of these accounts that have not ended, as far as they are shown, and the last event shown."""
    shown = Order.objects.aggregate(last=Max("seq"))["last"] or 0
    rows = Order.objects.filter(account_id__any_of=list(account_ids)).exclude(state__in=ENDED)
    return list(rows.values_list("order_id", flat=True)), shown


def orders_to_cancel(*, account_id: str, symbol: str | None) -> QuerySet[Order]:
    """Return an account's orders that work, oldest first, but for exits: those are a position's, as long as it is."""
    rows = Order.objects.filter(account_id=account_id, **({"symbol": symbol} if symbol else {}))
    return rows.exclude(state__in=ENDED).exclude(source__in=OF_A_POSITION).order_by("seq")


def legs_of(*, order_id: str) -> QuerySet[ChildOrder]:
    """Return an order's legs at venues, first attempt first."""
    return ChildOrder.objects.filter(order_id=order_id).order_by("attempt")


def strategy_of(*, user: Any, strategy_id: str) -> Strategy | None:
    """Return the strategy that signals for one of the user's own accounts; None alike for another's and for none."""
    return Strategy.objects.filter(strategy_id=strategy_id, account_id__in=_account_ids(user)).first()


def refused_signals(*, tenant: str, strategy_id: str) -> RefusedSignals | None:
    """Return the latest signals of a strategy that became no command; None where nobody can say now."""
    keys = [
        streams.refused_key(tenant=tenant, strategy_id=under, proven=proven)
        for under, proven in ((strategy_id, True), (strategy_id, False), ("", False))
    ]
    try:
        with _redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.lrange(key, 0, -1)
            own, unproven, unnamed = ([json.loads(line) for line in lines] for lines in pipe.execute())
    except redis.RedisError:
        return None
    return RefusedSignals(own, unproven + [line for line in unnamed if line["strategy_id"] == strategy_id])


def all_strategies() -> QuerySet[Strategy]:
    """Return the tenant's strategies by id."""
    return Strategy.objects.order_by("strategy_id")


def _account_ids(user: Any) -> list[str]:
    return list(accounts.accounts_of(user=user).values_list("account_id", flat=True))


def engine_is_running(*, tenant: str) -> bool:
    """Return whether an engine holds the lease of the tenant's shard now."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select 1 from public.engine_lease l join public.tenants_tenant t on t.shard = l.shard"
            " where t.schema_name = %s and l.expires_at > now()",
            [tenant],
        )
        return cursor.fetchone() is not None


def doubtful_count() -> int:
    """Return how many legs are in doubt: their venue has not said what became of them."""
    return ChildOrder.objects.filter(state=OrderState.IN_DOUBT.value).count()


def leg_in_doubt(*, cl_ord_id: str) -> ChildOrder | None:
    """Return a leg whose venue has not said what became of it, None for any other."""
    return ChildOrder.objects.filter(cl_ord_id=cl_ord_id, state=OrderState.IN_DOUBT.value).first()


def account_of_order(*, order_id: str) -> str | None:
    """Return the account of any client's order, None where there is no such order."""
    return Order.objects.filter(order_id=order_id).values_list("account_id", flat=True).first()


def order_file(*, order_id: str) -> dict[str, Any] | None:
    """Return an order as its dealer reads it, None where there is none: decimals are text, times ISO 8601."""
    order = Order.objects.filter(order_id=order_id).values().first()
    if order is None:
        return None
    fills = Fill.objects.filter(order_id=order_id).order_by("seq")
    legs = legs_of(order_id=order_id)
    told = {**order, **decided(seq=order["seq"], routed_seq=order["routed_seq"])._asdict()}
    return {"order": told, "legs": list(legs.values()), "fills": list(fills.values()), "controls": CONTROLS}
