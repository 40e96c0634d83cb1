"""What may be asked of the desk for a user. The rows are projections; the engine's answer is what was decided."""

from apps.trading.models import Strategy
from apps.trading.services.asking import WAIT_S_MAX, UnableToReachDesk, UnableToRecord, UnableToTrade
from apps.trading.services.orders import (
    amend_command_id,
    amend_order,
    amendment_what_if,
    answer_requote,
    cancel_all,
    cancel_command_id,
    cancel_order,
    order_command_id,
    outlook,
    place_order,
    report_connection,
    what_if,
)
from apps.trading.services.positions import close_all, close_what_if, set_exits
from apps.trading.services.strategies import save_strategy, sync_engine

__all__ = (
    "WAIT_S_MAX",
    "Strategy",
    "UnableToReachDesk",
    "UnableToRecord",
    "UnableToTrade",
    "amend_command_id",
    "amend_order",
    "amendment_what_if",
    "answer_requote",
    "cancel_all",
    "cancel_command_id",
    "cancel_order",
    "close_all",
    "close_what_if",
    "order_command_id",
    "outlook",
    "place_order",
    "report_connection",
    "save_strategy",
    "set_exits",
    "sync_engine",
    "what_if",
)
