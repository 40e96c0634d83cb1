from apps.liquidity.models.credentials import Credential, CredentialChange, CredentialKind
from apps.liquidity.models.execution import ExecutionPolicy, RouteQuote, RoutingRule, StageChange, VenueScorecard
from apps.liquidity.models.orders import VenueOrder, VenueReport
from apps.liquidity.models.providers import LiquidityProvider, LpSymbol
from apps.liquidity.models.sessions import FixMessage, FixNumbers

__all__ = [
    "Credential",
    "CredentialChange",
    "CredentialKind",
    "ExecutionPolicy",
    "FixMessage",
    "FixNumbers",
    "LiquidityProvider",
    "LpSymbol",
    "RouteQuote",
    "RoutingRule",
    "StageChange",
    "VenueOrder",
    "VenueReport",
    "VenueScorecard",
]
