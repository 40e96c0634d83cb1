from apps.liquidity.admin import credentials, execution, providers

__all__ = ["credentials", "execution", "providers"]
