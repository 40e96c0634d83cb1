"""Decisions: which rule decides which command."""

from __future__ import annotations

from collections.abc import Callable

from piggy.core import (
    amending,
    auctioning,
    busting,
    closes,
    configuring,
    corrections,
    covering,
    dealing,
    exits,
    flattening,
    hedge_policies,
    leaving,
    outlooks,
    overnight,
    overseeing,
    placing,
    supervising,
    touching,
    venue_cancels,
    venue_reports,
    what_ifs,
)
from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.bust_commands import BustFills, CorrectFill
from piggy.core.events import AnyEvent

DECISIONS: dict[type, Callable[..., list[AnyEvent]]] = {
    cmd.ConfigureInstrument: configuring.configure_instrument,
    cmd.ConfigureGroup: configuring.configure_group,
    cmd.ConfigureAccount: configuring.configure_account,
    cmd.ConfigureVenue: configuring.configure_venue,
    cmd.ConfigureStrategy: configuring.configure_strategy,
    cmd.ConfigureLimits: configuring.configure_limits,
    cmd.ConfigurePricing: configuring.configure_pricing,
    cmd.ConfigureSwaps: overnight.configure_swaps,
    cmd.ConfigureSwapFree: overnight.configure_swap_free,
    cmd.ConfigureHedging: hedge_policies.configure_hedging,
    cmd.ApproveHedge: covering.approve_hedge,
    cmd.RejectHedge: covering.reject_hedge,
    cmd.CoverByHand: covering.cover_by_hand,
    cmd.ConfigureRouting: configuring.configure_routing,
    cmd.ScoreAccount: configuring.score_account,
    cmd.ScoreVenue: configuring.score_venue,
    cmd.ConfigureMargin: supervising.configure_margin,
    cmd.ConfigureOptionModel: supervising.configure_option_model,
    cmd.ConfigurePermissions: supervising.configure_permissions,
    cmd.ConfigureRestrictions: supervising.configure_restrictions,
    cmd.ConfigureCalendar: supervising.configure_calendar,
    cmd.GrantOverride: supervising.grant_override,
    cmd.ReleaseThrottle: supervising.release_throttle,
    cmd.ReportConnection: supervising.report_connection,
    cmd.RecordDailyVolume: overseeing.record_daily_volume,
    cmd.RecordLocate: overseeing.record_locate,
    cmd.SignReview: overseeing.sign_review,
    cmd.ChangeLimits: overseeing.change_limits,
    cmd.RevertLimits: overseeing.revert_limits,
    cmd.ActOnLimits: overseeing.act_on_limits,
    cmd.ConfigureAuctions: auctioning.configure_auctions,
    cmd.ChangePhase: auctioning.change_phase,
    cmd.FlattenPositions: flattening.flatten,
    cmd.SetTradingState: supervising.set_trading_state,
    cmd.CreditAccount: configuring.credit,
    cmd.DebitAccount: configuring.debit,
    cmd.PlaceOrder: placing.place,
    cmd.AskWhatIf: what_ifs.ask,
    cmd.AskOutlook: outlooks.ask,
    cmd.AskAmendment: what_ifs.ask,
    cmd.CancelOrder: venue_cancels.cancel,
    cmd.AmendOrder: amending.amend,
    cmd.SetExits: exits.set_exits,
    cmd.ClosePositions: closes.close_positions,
    cmd.AskClose: what_ifs.ask,
    cmd.ClaimOrder: dealing.claim,
    cmd.FillByDealer: dealing.fill_by_dealer,
    cmd.RequoteOrder: dealing.requote,
    cmd.AnswerRequote: dealing.answer_requote,
    cmd.PassOrderOn: dealing.pass_on,
    cmd.RejectByDealer: dealing.reject_by_dealer,
    cmd.ActOnPrices: touching.act_on_prices,
    cmd.ActOnTime: touching.act_on_time,
    cmd.ActOnExposure: covering.act_on_exposure,
    cmd.RollOver: overnight.roll_over,
    cmd.RecordVenueAck: venue_reports.record_ack,
    cmd.RecordVenueFill: venue_reports.record_fill,
    cmd.RecordVenueReject: venue_reports.record_reject,
    cmd.RecordVenueDone: venue_reports.record_done,
    cmd.RecordVenueDoubt: venue_reports.record_doubt,
    cmd.RecordVenueCancelReject: venue_cancels.record_cancel_reject,
    cmd.RecordVenueBust: corrections.record_bust,
    cmd.RecordVenueCorrection: corrections.record_correction,
    BustFills: busting.bust_fills,
    CorrectFill: busting.correct_fill,
    cmd.LetOrdersGo: leaving.let_orders_go,
    cmd.LetOrderGo: leaving.let_order_go,
    cmd.BringOrderBack: leaving.bring_order_back,
    cmd.SkipNumbers: leaving.skip_numbers,
}


def without_rate(*, command: cmd.AnyCommand, text: str) -> tuple[AnyEvent, ...]:
    """Return what becomes of a command that no rate could be found for.

    A fill is never refused for it: its worker tells it again until there is one.
    """
    if isinstance(command, cmd.RecordVenueFill | cmd.RecordVenueCorrection):
        return ()
    return (ev.CommandRefused(code="NO_RATE", field="symbol", text=text),)
