from apps.liquidity.services.credentials import (
    SECRET_CHARACTERS_MAX,
    UnableToDecideCredential,
    UnableToRequestCredential,
    approve_credential,
    reject_credential,
    request_credential,
    rotate_keys,
)
from apps.liquidity.services.execution import keep_scorecards, review_canaries, set_stage, tell_policy
from apps.liquidity.services.providers import SymbolTerms, add_provider, save_provider, sync_engine, tell_provider
from apps.liquidity.services.reports import Told, park_report, record_doubt, record_refusal, record_report, sweep, tell
from apps.liquidity.services.venue_orders import claim_cancel, claim_order, mark_sent, unclaim_cancel

__all__ = [
    "SECRET_CHARACTERS_MAX",
    "SymbolTerms",
    "Told",
    "UnableToDecideCredential",
    "UnableToRequestCredential",
    "add_provider",
    "approve_credential",
    "claim_cancel",
    "claim_order",
    "keep_scorecards",
    "mark_sent",
    "park_report",
    "record_doubt",
    "record_refusal",
    "record_report",
    "reject_credential",
    "request_credential",
    "review_canaries",
    "rotate_keys",
    "save_provider",
    "set_stage",
    "sweep",
    "sync_engine",
    "tell",
    "tell_policy",
    "tell_provider",
    "unclaim_cancel",
]
