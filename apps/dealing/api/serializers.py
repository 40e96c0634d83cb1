"""What each action's body may hold; lots, prices and percents are strings."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import Any

from rest_framework import serializers

from apps.common.api import StrictInput
from apps.common.times import microseconds
from apps.dealing.selectors import Window
from apps.dealing.services import ROWS_MAX
from piggy.core.accounts import BookMode, TradingState
from piggy.core.auctions import CALL_S_MAX, AuctionPhase
from piggy.core.dealer_commands import DealAt, RejectReason
from piggy.core.dealing import REQUOTE_MS_MAX, REQUOTE_MS_MIN
from piggy.core.orders import OrderTerms, OrderType, SelfTradePrevention, Side, TimeInForce
from piggy.core.position_commands import Which

NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,10})?\Z", re.ASCII)
BIGINT_MAX = 2**63 - 1
REASON_MIN, REASON_MAX = 3, 500
TEXT_MAX = 200
SCOPES = ("firm", "tenant", "group", "account", "symbol", "venue", "venue_symbol", "strategy")
BPS_MAX = 10_000
POINTS_MAX = 1_000


def _choice(members: Any, **more: Any) -> serializers.ChoiceField:
    return serializers.ChoiceField([member.value for member in members], **more)


class _Exact(serializers.DecimalField):
    """A decimal as it was written, so that 1.50 is confirmed as 1.50, and not in another way that Python reads."""

    def to_internal_value(self, data: Any) -> Decimal:
        """Return the exact number: no exponent, no digits of other scripts, no underscores."""
        if isinstance(data, bool) or (isinstance(data, str) and not NUMBER.match(data.strip())):
            self.fail("invalid")
        return super().to_internal_value(data)

    def quantize(self, value: Decimal) -> Decimal:
        """Leave the digits alone."""
        return value


def _number(**more: Any) -> serializers.DecimalField:
    return _Exact(max_digits=28, decimal_places=10, **more)


class _Zoned(serializers.DateTimeField):
    """A time with its zone: without one it would be taken for UTC."""

    default_error_messages = {"zone": "Write an RFC 3339 time with a zone, as 2030-01-01T00:00:00Z."}

    def enforce_timezone(self, value: datetime) -> datetime:
        """Return the time in UTC."""
        if value.tzinfo is None:
            self.fail("zone")
        return super().enforce_timezone(value)


def _key_of_row() -> serializers.IntegerField:
    return serializers.IntegerField(min_value=1, max_value=BIGINT_MAX)


class Reasoned(StrictInput):
    """Every action has a reason in words."""

    reason = serializers.CharField(min_length=REASON_MIN, max_length=REASON_MAX)


class TradingStateIn(Reasoned):
    """`scope` is one of SCOPES; `confirm` repeats the target's name for a kill; a venue_symbol is VENUE/SYMBOL."""

    scope = serializers.ChoiceField(SCOPES)
    key = serializers.CharField(max_length=60, allow_blank=True, default="")
    state = _choice(TradingState)
    cancel_working = serializers.BooleanField(default=True)
    confirm = serializers.CharField(max_length=TEXT_MAX, allow_blank=True, default="")

    def validate_state(self, value: str) -> TradingState:
        """Return the state itself."""
        return TradingState(value)


class OrderIn(Reasoned):
    """A dealer's order for a client, of every kind that the client may ask for; `confirm`: "buy 1.50 EURUSD"."""

    account_id = serializers.CharField(max_length=40)
    symbol = serializers.CharField(max_length=40)
    side = _choice(Side)
    quantity = _number()
    type = _choice(OrderType, default=OrderType.MARKET.value)
    limit_price = _number(required=False, allow_null=True)
    stop_price = _number(required=False, allow_null=True)
    trailing_distance = _number(required=False, allow_null=True)
    time_in_force = _choice(TimeInForce, default=TimeInForce.GTC.value)
    expires_at = _Zoned(required=False, allow_null=True)
    post_only = serializers.BooleanField(default=False)
    reduce_only = serializers.BooleanField(default=False)
    all_or_none = serializers.BooleanField(default=False)
    display_quantity = _number(required=False, allow_null=True)
    minimum_quantity = _number(required=False, allow_null=True)
    take_profit = _number(required=False, allow_null=True)
    stop_loss = _number(required=False, allow_null=True)
    guaranteed_stop = serializers.BooleanField(default=False)
    oco_group = serializers.CharField(required=False, allow_null=True, max_length=TEXT_MAX)
    stp = _choice(SelfTradePrevention, default=SelfTradePrevention.CANCEL_NEWEST.value)
    position_id = serializers.CharField(required=False, allow_null=True, max_length=TEXT_MAX)
    confirm = serializers.CharField(max_length=TEXT_MAX, allow_blank=True, default="")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return the order's terms as the core has them, beside reason and confirmation."""
        values = dict(attrs)
        kept = {name: values.pop(name) for name in ("reason", "confirm")}
        values["side"], values["type"] = Side(values["side"]), OrderType(values["type"])
        values["time_in_force"], values["stp"] = (
            TimeInForce(values["time_in_force"]),
            SelfTradePrevention(values["stp"]),
        )
        expires_at = values.pop("expires_at", None)
        values["expires_at_us"] = None if expires_at is None else microseconds(expires_at)
        return kept | {"terms": OrderTerms(**values)}


class CancelIn(Reasoned):
    order_id = serializers.CharField(max_length=60)


class AmendIn(CancelIn):
    """What is not given, or null, stays; an exit is taken off by its box. `confirm`: "amend O000000001"."""

    quantity = _number(required=False, allow_null=True)
    limit_price = _number(required=False, allow_null=True)
    stop_price = _number(required=False, allow_null=True)
    trailing_distance = _number(required=False, allow_null=True)
    time_in_force = _choice(TimeInForce, required=False, allow_blank=True, allow_null=True)
    expires_at = _Zoned(required=False, allow_null=True)
    take_profit = _number(required=False, allow_null=True)
    stop_loss = _number(required=False, allow_null=True)
    no_take_profit = serializers.BooleanField(default=False)
    no_stop_loss = serializers.BooleanField(default=False)
    confirm = serializers.CharField(max_length=TEXT_MAX, allow_blank=True, default="")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return what is to be otherwise as the core names it, beside reason, order and confirmation."""
        values = _without(attrs)
        if force := values.pop("time_in_force", ""):
            values["time_in_force"] = TimeInForce(force)
        if "expires_at" in values:
            values["expires_at_us"] = microseconds(values.pop("expires_at"))
        return values


def _without(attrs: dict[str, Any]) -> dict[str, Any]:
    """Return what is given, an exit whose box takes it off as none."""
    values = {name: value for name, value in attrs.items() if value is not None}
    for name in ("take_profit", "stop_loss"):
        if values.pop(f"no_{name}"):
            if name in values:
                raise serializers.ValidationError({f"no_{name}": "Give an exit, or take it off, not both."})
            values[name] = None
    return values


class ExitsIn(Reasoned):
    """What is not given stays; a stop of either kind is taken off by its box. `confirm`: "exits A1001:EURUSD"."""

    position_id = serializers.CharField(max_length=TEXT_MAX)
    take_profit = _number(required=False, allow_null=True)
    stop_loss = _number(required=False, allow_null=True)
    trailing_distance = _number(required=False, allow_null=True)
    guaranteed_stop = serializers.BooleanField(required=False, allow_null=True)
    no_take_profit = serializers.BooleanField(default=False)
    no_stop_loss = serializers.BooleanField(default=False)
    confirm = serializers.CharField(max_length=TEXT_MAX, allow_blank=True, default="")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return what is to be otherwise as the core names it, beside reason, position and confirmation."""
        return _without(attrs)


class CloseAllIn(Reasoned):
    """`confirm` repeats the account as "close A1001"."""

    account_id = serializers.CharField(max_length=40)
    symbol = serializers.CharField(max_length=40, allow_blank=True, default="")
    which = _choice(Which, default=Which.ALL.value)
    confirm = serializers.CharField(max_length=TEXT_MAX, allow_blank=True, default="")

    def validate_which(self, value: str) -> Which:
        """Return which positions."""
        return Which(value)


class RequestIn(StrictInput):
    """Seconds count: claiming, filling and passing on need no words."""

    order_id = serializers.CharField(max_length=60)
    reason = serializers.CharField(max_length=REASON_MAX, allow_blank=True, default="")


class FillIn(RequestIn):
    at = _choice(DealAt, default=DealAt.REQUESTED.value)

    def validate_at(self, value: str) -> DealAt:
        """Return at which price."""
        return DealAt(value)


class RequoteIn(Reasoned):
    order_id = serializers.CharField(max_length=60)
    price = _number(min_value=0)
    valid_ms = serializers.IntegerField(min_value=REQUOTE_MS_MIN, max_value=REQUOTE_MS_MAX, default=5_000)


class RejectIn(Reasoned):
    order_id = serializers.CharField(max_length=60)
    code = _choice(RejectReason)

    def validate_code(self, value: str) -> RejectReason:
        """Return the coded reason."""
        return RejectReason(value)


class CoverIn(Reasoned):
    """Without side and quantity the symbol is dealt flat; `confirm` is then "flatten EURUSD"."""

    symbol = serializers.CharField(max_length=40)
    side = _choice(Side, required=False, allow_null=True, default=None)
    quantity = _number(required=False, allow_null=True, default=None)
    confirm = serializers.CharField(max_length=TEXT_MAX, allow_blank=True, default="")

    def validate_side(self, value: str | None) -> Side | None:
        """Return the side itself."""
        return Side(value) if value else None


class HedgeIn(Reasoned):
    hedge_id = serializers.CharField(max_length=60)


class _ForAWhile(Reasoned):
    group = serializers.CharField(max_length=60)
    minutes = serializers.IntegerField(min_value=1, max_value=1_440)


class RoutingIn(_ForAWhile):
    book_mode = _choice(BookMode)
    a_book_percent = _number(default="100", min_value=0, max_value=100)

    def validate_book_mode(self, value: str) -> BookMode:
        """Return the mode itself."""
        return BookMode(value)


class SpreadIn(_ForAWhile):
    """Points added on each side."""

    bid_points = serializers.IntegerField(min_value=-POINTS_MAX, max_value=POINTS_MAX)
    ask_points = serializers.IntegerField(min_value=-POINTS_MAX, max_value=POINTS_MAX)


class LimitsIn(_ForAWhile):
    changes = serializers.DictField(child=serializers.CharField(max_length=40), allow_empty=False)


class ChangeIn(Reasoned):
    change_id = _key_of_row()


class FillNamed(StrictInput):
    """One fill, by its event."""

    seq = _key_of_row()


class BustIn(Reasoned):
    """`seq` is the fill's event; `confirm` repeats its id as "bust O000000001-1"."""

    seq = _key_of_row()
    confirm = serializers.CharField(max_length=TEXT_MAX, allow_blank=True, default="")


class CorrectIn(BustIn):
    price = _number(min_value=0)


class WindowIn(StrictInput):
    """Where prices were bad; times with their zone, prices as clients or LPs dealt."""

    symbol = serializers.CharField(max_length=40)
    venue = serializers.CharField(max_length=60, allow_blank=True, default="")
    price_from = _number(min_value=0)
    price_to = _number(min_value=0)
    since = _Zoned()
    until = _Zoned()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return the window beside reason, digest and confirmation."""
        values = dict(attrs)
        window = {name: values.pop(name) for name in Window.__struct_fields__}
        if window["price_from"] > window["price_to"] or window["since"] > window["until"]:
            raise serializers.ValidationError("A window goes from the lower to the higher and from early to late.")
        return values | {"window": Window(**window)}


class BustWindowIn(WindowIn, Reasoned):
    digest = serializers.CharField(max_length=64)
    confirm = serializers.CharField(max_length=TEXT_MAX, allow_blank=True, default="")


class FlattenIn(Reasoned):
    scope = serializers.ChoiceField(("firm", "tenant", "group", "account", "symbol"))
    key = serializers.CharField(max_length=60, allow_blank=True, default="")
    confirm = serializers.CharField(max_length=TEXT_MAX, allow_blank=True, default="")


class PhaseIn(Reasoned):
    """`confirm` repeats phase and symbol as "closing call EURUSD"."""

    symbol = serializers.CharField(max_length=40)
    phase = _choice(AuctionPhase)
    call_s = serializers.IntegerField(min_value=1, max_value=CALL_S_MAX, required=False, allow_null=True, default=None)
    confirm = serializers.CharField(max_length=TEXT_MAX, allow_blank=True, default="")

    def validate_phase(self, value: str) -> AuctionPhase:
        """Return the phase itself."""
        return AuctionPhase(value)


class _LocateIn(StrictInput):
    account_id = serializers.CharField(max_length=40)
    symbol = serializers.CharField(max_length=40)
    lots = _number(min_value=0)
    reference = serializers.CharField(max_length=100)
    until = _Zoned()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return the row as the core has it."""
        values = dict(attrs)
        return values | {"until_us": microseconds(values.pop("until"))}


class LocatesIn(Reasoned):
    rows = serializers.ListField(child=_LocateIn(), allow_empty=False, max_length=ROWS_MAX)


class _VolumeIn(StrictInput):
    symbol = serializers.CharField(max_length=40)
    business_date = serializers.DateField()
    lots = _number(min_value=0)


class VolumesIn(Reasoned):
    rows = serializers.ListField(child=_VolumeIn(), allow_empty=False, max_length=ROWS_MAX)


class AskOverrideIn(Reasoned):
    order_id = serializers.CharField(max_length=60)
    codes = serializers.ListField(child=serializers.CharField(max_length=20), allow_empty=False, max_length=20)


class GrantOverrideIn(Reasoned):
    action_id = _key_of_row()


class LegNamed(StrictInput):
    """One leg at a venue, by the id that we gave it."""

    cl_ord_id = serializers.CharField(max_length=100)


class AskSettlementIn(LegNamed, Reasoned):
    """What the venue dealt beyond what is known, 0 for nothing more; `confirm` is "settle" and the leg."""

    lots = _number(min_value=0)
    price = _number(required=False, allow_null=True, default=None, min_value=0)
    fill_id = serializers.CharField(max_length=120, allow_blank=True, default="")
    confirm = serializers.CharField(max_length=TEXT_MAX, allow_blank=True, default="")


class SettleIn(GrantOverrideIn):
    """`confirm` repeats what the other person said: "settle" and the leg."""

    confirm = serializers.CharField(max_length=TEXT_MAX, allow_blank=True, default="")


class AccountIn(Reasoned):
    account_id = serializers.CharField(max_length=40)


class ScoreIn(AccountIn):
    """Basis points against the house that the account's fills are worth; above zero is toxic."""

    score = _number(min_value=-BPS_MAX, max_value=BPS_MAX)
