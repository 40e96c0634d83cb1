from apps.liquidity.models.credentials import Credential, CredentialChange, CredentialKind
from apps.liquidity.models.orders import VenueOrder, VenueReport
from apps.liquidity.models.providers import LiquidityProvider, LpSymbol

__all__ = [
    "Credential",
    "CredentialChange",
    "CredentialKind",
    "LiquidityProvider",
    "LpSymbol",
    "VenueOrder",
    "VenueReport",
]
