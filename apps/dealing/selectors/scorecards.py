"""How each LP serves, as the engine measures it, one flat row an LP for the desk and its reports."""

from __future__ import annotations

from typing import Any

from apps.liquidity import selectors as liquidity

# After a fill; the engine measures more horizons, the back office shows them all.
MARKOUTS_MS = (1_000, 10_000, 60_000)


def scorecards(*, tenant: str) -> list[dict[str, Any]]:
    """Return the latest scorecards, none where the engine has not spoken; figures are text, None where unmeasured."""
    cards = liquidity.scorecards(tenant=tenant)
    return [_row(card) for card in cards.venues] if cards else []


def _row(card: dict[str, Any]) -> dict[str, Any]:
    markouts = {each["after_ms"]: each for each in card["markouts"]}
    kept = ("venue", "state", "trading_state", "up_percent", "disconnects", "orders", "fills", "rejects")
    row = {name: card[name] for name in (*kept, "reject_rate", "fill_ratio", "rejects_in_a_row", "cost_markout_bps")}
    for name in ("latency_ms", "hold_ms"):
        row |= {f"{name}_{part}": card[name][part] for part in ("p50", "p95", "samples")}
    for after_ms in MARKOUTS_MS:
        found = markouts.get(after_ms, {})
        row |= {f"markout_{after_ms}_{part}": found.get(part) for part in ("mean_bps", "error_bps", "samples")}
    return {"key": card["venue"], **row}
