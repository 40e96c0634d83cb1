from apps.liquidity.services.providers import SymbolTerms, add_provider, save_provider, sync_engine, tell_provider
from apps.liquidity.services.reports import Told, park_report, record_doubt, record_refusal, record_report, sweep, tell
from apps.liquidity.services.venue_orders import claim_order, mark_sent

__all__ = [
    "SymbolTerms",
    "Told",
    "add_provider",
    "claim_order",
    "mark_sent",
    "park_report",
    "record_doubt",
    "record_refusal",
    "record_report",
    "save_provider",
    "sweep",
    "sync_engine",
    "tell",
    "tell_provider",
]
