"""Which commands go before all others, and which are the first to be kept out."""

from __future__ import annotations

from piggy.core import commands as cmd

# What makes a desk safer does not queue behind what it is to be made safe from (INV-26).
URGENT = frozenset(
    {
        cmd.CancelOrder,
        cmd.SetTradingState,
        cmd.ReportConnection,
        cmd.ActOnPrices,
        cmd.ActOnTime,
        cmd.ActOnExposure,
        cmd.ActOnLimits,
        cmd.RecordVenueAck,
        cmd.RecordVenueFill,
        cmd.RecordVenueReject,
        cmd.RecordVenueDone,
        cmd.RecordVenueDoubt,
        cmd.RecordVenueCancelReject,
        cmd.BringOrderBack,
        cmd.SkipNumbers,
    }
)

# What a clock that nobody can trust keeps out (INV-20), a start that is not over, and a full disk (F-21); cancels and
# closes by the desk itself stay.
NEW_RISK = (cmd.PlaceOrder, cmd.AmendOrder, cmd.SetExits, cmd.ClosePositions)
