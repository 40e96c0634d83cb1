"""Leverage rule sets: what a regulator lets a client class borrow, as versioned data with the day it came into force.

A rule set is a value: a tenant may load others for its jurisdiction. What is in force is chosen by date and category,
so an old decision can be judged by the rules of its day.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_DOWN, Decimal
from functools import cache

import msgspec

from piggy.core.accounts import ClientCategory
from piggy.core.instruments import AssetClass

PERCENT_STEP = Decimal("0.01")


class UnableToFindRuleSet(Exception):
    """No rule set of the jurisdiction was in force at that time; trading must not start without one."""


class CategoryRules(msgspec.Struct, frozen=True, kw_only=True):
    """What one client category gets; percents are of the notional, an asset class that is not named has no cap.

    `closeout_percent` is the margin level (equity over used margin, in percent) at which positions must be closed.
    """

    margin_percent: dict[AssetClass, Decimal] = {}
    closeout_percent: Decimal | None = None
    negative_balance_protection: bool = False
    incentives_allowed: bool = True
    risk_warning: bool = False


class RuleSet(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a jurisdiction's rules, in force from `in_force_from_us` (UTC microseconds) until the next."""

    jurisdiction: str
    version: int
    in_force_from_us: int
    source: str
    categories: dict[ClientCategory, CategoryRules]
    major_currencies: frozenset[str]
    major_indices: frozenset[str]

    def fx_class(self, *, base: str, quote: str) -> AssetClass:
        """Return whether a pair is major: both legs must be."""
        majors = self.major_currencies
        return AssetClass.FX_MAJOR if base in majors and quote in majors else AssetClass.FX_MINOR

    def index_class(self, *, name: str) -> AssetClass:
        return AssetClass.INDEX_MAJOR if name in self.major_indices else AssetClass.INDEX_MINOR

    def of(self, category: ClientCategory) -> CategoryRules:
        """Return the rules of `category`; a category that is not named is unregulated here (caps per contract)."""
        return self.categories.get(category, UNREGULATED)


UNREGULATED = CategoryRules()


def in_force(*, rule_sets: Iterable[RuleSet], jurisdiction: str, at_us: int) -> RuleSet:
    """Return the newest rule set of `jurisdiction` that was in force at `at_us`, else raise UnableToFindRuleSet."""
    known = [rules for rules in rule_sets if rules.jurisdiction == jurisdiction and rules.in_force_from_us <= at_us]
    if not known:
        raise UnableToFindRuleSet(f"{jurisdiction} has no leverage rules at {at_us}")
    return max(known, key=lambda rules: (rules.in_force_from_us, rules.version))


@cache
def percent_of_leverage(*, leverage: Decimal) -> Decimal:
    """Return the margin percent of a leverage, cut at two digits as regulators write it: 30 is 3.33, 20 is 5."""
    return (100 / leverage).quantize(PERCENT_STEP, rounding=ROUND_DOWN)


ESMA_MAJOR_CURRENCIES = frozenset({"USD", "EUR", "JPY", "GBP", "CAD", "CHF"})
ESMA_MAJOR_INDICES = frozenset(
    {
        "FTSE 100",
        "CAC 40",
        "DAX",
        "DJIA",
        "S&P 500",
        "NASDAQ Composite",
        "NASDAQ 100",
        "Nikkei 225",
        "S&P/ASX 200",
        "EURO STOXX 50",
    }
)
ESMA_RETAIL = CategoryRules(
    margin_percent={
        AssetClass.FX_MAJOR: Decimal("3.33"),
        AssetClass.FX_MINOR: Decimal(5),
        AssetClass.GOLD: Decimal(5),
        AssetClass.INDEX_MAJOR: Decimal(5),
        AssetClass.COMMODITY: Decimal(10),
        AssetClass.INDEX_MINOR: Decimal(10),
        AssetClass.SHARE: Decimal(20),
        AssetClass.OPTION: Decimal(20),
        AssetClass.CRYPTO: Decimal(50),
    },
    closeout_percent=Decimal(50),
    negative_balance_protection=True,
    incentives_allowed=False,
    risk_warning=True,
)
ESMA_2018 = RuleSet(
    jurisdiction="EU",
    version=1,
    in_force_from_us=1_533_081_600_000_000,  # 2018-08-01T00:00:00Z
    source="ESMA Decision (EU) 2018/796, kept by the national authorities since",
    categories={ClientCategory.RETAIL: ESMA_RETAIL},
    major_currencies=ESMA_MAJOR_CURRENCIES,
    major_indices=ESMA_MAJOR_INDICES,
)
RULE_SETS = (ESMA_2018,)
