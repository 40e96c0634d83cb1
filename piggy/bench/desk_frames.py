"""A seeded stand-in for the engine's frames: the same panels, keys, numbers and rhythm, from nothing but a seed."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec

from piggy.messaging import streams

Row = dict[str, Any]

# symbol: (price, point, contract size, quote currency)
MARKETS = {
    "EURUSD": ("1.08430", "0.00001", 100_000, "USD"),
    "GBPUSD": ("1.26910", "0.00001", 100_000, "USD"),
    "USDJPY": ("151.234", "0.001", 100_000, "JPY"),
    "AUDUSD": ("0.65310", "0.00001", 100_000, "USD"),
    "USDCHF": ("0.88120", "0.00001", 100_000, "CHF"),
    "USDCAD": ("1.35920", "0.00001", 100_000, "CAD"),
    "NZDUSD": ("0.60120", "0.00001", 100_000, "USD"),
    "XAUUSD": ("2174.35", "0.01", 100, "USD"),
    "US500": ("5203.40", "0.10", 10, "USD"),
    "BTCUSD": ("67410.50", "0.01", 1, "USD"),
    "EURUSD-C-1.1000": ("0.00412", "0.00001", 100_000, "USD"),
}
VENUES = ("LP1", "LP2", "LP3")
GROUPS = {"a-book": "a", "b-book": "b", "mixed": "mixed"}
ORDERS_KEPT = 200


class FrameMaker:
    """One tenant's panels: `snapshots()` as the keys would hold them, `tick()` and `order()` as published."""

    def __init__(self, *, seed: int = 7, symbols: int = len(MARKETS)) -> None:
        self._random = random.Random(seed)
        names = list(MARKETS) + [f"SYM{number:03}" for number in range(max(0, symbols - len(MARKETS)))]
        self._markets = {name: MARKETS.get(name, MARKETS["EURUSD"]) for name in names[:symbols]}
        self._mids = {name: Decimal(market[0]) for name, market in self._markets.items()}
        self._nets = {name: self._random.randint(-2_400, 2_400) for name in self._markets}
        self._count = 0
        self.seqs = dict.fromkeys(streams.PANELS, 0)
        self.rows: dict[str, dict[str, Row]] = {name: {} for name in streams.PANELS}
        for name in self._markets:
            self._requote(name)
        self.rows["venues"] = {venue: self._venue(venue) for venue in VENUES}
        self._sum_up()
        for _ in range(40):
            self._new_order()

    def snapshots(self) -> Iterator[tuple[str, bytes]]:
        """Yield (panel, snapshot frame) with the number of the last delta."""
        for panel in streams.PANELS:
            yield panel, self._frame(panel, self.rows[panel], snapshot=True)

    def tick(self, *, symbols: int) -> Iterator[bytes]:
        """Move `symbols` prices; yield the frames of the panels that changed, each stamped as it is made."""
        moved = self._random.sample(sorted(self._markets), min(symbols, len(self._markets)))
        for name in moved:
            self._requote(name)
        self.rows["venues"] = {venue: self._venue(venue) for venue in VENUES}
        self._sum_up()
        for panel in ("quotes", "exposure"):
            yield self._delta(panel, {name: self.rows[panel][name] for name in moved})
        for panel in ("venues", "summary"):
            yield self._delta(panel, self.rows[panel])

    def order(self) -> bytes:
        """Decide one more order; return its frame."""
        before = list(self.rows["orders"])
        key = self._new_order()
        gone: dict[str, Any] = {each: None for each in before if each not in self.rows["orders"]}
        return self._delta("orders", gone | {key: self.rows["orders"][key]})

    def tell(self, panel: str, rows: dict[str, Row]) -> bytes:
        """Set rows of a panel that this stand-in has nothing of by itself; return their frame."""
        self.rows[panel] |= rows
        return self._delta(panel, rows)

    def _delta(self, panel: str, rows: dict[str, Any]) -> bytes:
        self.seqs[panel] += 1
        return self._frame(panel, rows, snapshot=False)

    def _frame(self, panel: str, rows: dict[str, Row], *, snapshot: bool) -> bytes:
        at_us = time.time_ns() // 1_000
        frame = {"panel": panel, "seq": self.seqs[panel], "snapshot": snapshot, "at_us": at_us, "rows": rows}
        others = {name: seq for name, seq in self.seqs.items() if name != panel}
        return msgspec.json.encode(frame | {"seqs": others} if panel == "summary" and not snapshot else frame)

    def _requote(self, name: str) -> None:
        point = Decimal(self._markets[name][1])
        self._mids[name] += point * self._random.randint(-6, 6)
        quotes = [self._venue_quote(venue, self._mids[name], point) for venue in VENUES]
        bid = max(quotes, key=lambda row: Decimal(row["bid"]))
        ask = min(quotes, key=lambda row: Decimal(row["ask"]))
        self.rows["quotes"][name] = {
            "symbol": name,
            "bid": bid["bid"],
            "bid_size": bid["bid_size"],
            "bid_venue": bid["venue"],
            "ask": ask["ask"],
            "ask_size": ask["ask_size"],
            "ask_venue": ask["venue"],
            "spread_points": str(int((Decimal(ask["ask"]) - Decimal(bid["bid"])) / point)),
            "age_ms": 0,
            "venues": quotes,
        }
        self.rows["exposure"][name] = self._exposure(name)

    def _venue_quote(self, venue: str, mid: Decimal, point: Decimal) -> Row:
        half = point * self._random.randint(2, 9)
        sizes = [f"{self._random.choice((1, 2, 3, 5, 10, 25)):.2f}" for _ in range(2)]
        prices = {"bid": str(mid - half), "ask": str(mid + half)}
        return {"venue": venue, **prices, "bid_size": sizes[0], "ask_size": sizes[1], "age_ms": 0, "state": "live"}

    def _exposure(self, name: str) -> Row:
        _, _, contract, currency = self._markets[name]
        net = Decimal(self._nets[name]) / 100
        long = abs(net) + Decimal(self._random.randint(0, 3)) / 100 + 12
        a_net = (net * Decimal("0.4")).quantize(Decimal("0.01"))
        mid = self._mids[name]
        vwap = mid * (1 + Decimal(self._nets[name] % 13 - 6) / 4_000)
        floating = net * contract * (mid - vwap)
        return {
            "symbol": name,
            "client_long": f"{long if net > 0 else long - abs(net):.2f}",
            "client_short": f"{long - abs(net) if net > 0 else long:.2f}",
            "client_net": f"{net:.2f}",
            "a_net": f"{a_net:.2f}",
            "b_net": f"{net - a_net:.2f}",
            "venue_net": f"{a_net:.2f}",
            "uncovered": f"{net - a_net:.2f}",
            "vwap": str(vwap.quantize(mid)),
            "mark": str(mid),
            "floating": f"{floating:.2f}",
            "realised": f"{floating / 7:.2f}",
            "notional": f"{net * contract * mid:.2f}",
            "currency": currency,
            "base": name[:3],
            "contract_size": str(contract),
            "cost": str(vwap * net),
            "limit": "10",
            "limit_percent": round(abs(net - a_net) * 10),
            "positions": abs(self._nets[name]) % 90 + 1,
            "age_ms": 0,
        }

    def _venue(self, venue: str) -> Row:
        orders = 400 + self._count
        rejects = orders * (1 + VENUES.index(venue)) // 60
        return {
            "venue": venue,
            "state": "ready",
            "text": "logged on",
            "quote_age_ms": 0,
            "quotes_per_s": self._random.randint(60, 140),
            "orders": orders,
            "fills": orders - rejects,
            "rejects": rejects,
            "reject_percent": f"{100 * rejects / orders:.1f}",
            "in_doubt": 0,
            "unread": 0,
        }

    def _sum_up(self) -> None:
        rows = [row for row in self.rows["exposure"].values() if row["currency"] == "USD"]
        floating, realised = (sum(Decimal(row[field]) for row in rows) for field in ("floating", "realised"))
        self.rows["summary"]["desk"] = {
            "floating": f"{floating:.2f}",
            "realised": f"{realised:.2f}",
            "currency": "USD",
            "orders_per_s": 2,
            "margin_calls": 1,
            "seq": 120_000 + self._count,
        }

    def _new_order(self) -> str:
        self._count += 1
        key = f"ord-{self._count:08x}"
        name = self._random.choice(sorted(self._markets))
        self.rows["orders"][key] = self._order(key, name, self._random.choice(sorted(GROUPS)))
        while len(self.rows["orders"]) > ORDERS_KEPT:
            del self.rows["orders"][next(iter(self.rows["orders"]))]
        return key

    def _order(self, key: str, name: str, group: str) -> Row:
        quantity = Decimal(self._random.choice((5, 10, 50, 100, 250, 1_200))) / 100
        denied = self._random.random() < 0.08
        quote = self.rows["quotes"][name]
        side = self._random.choice(("buy", "sell"))
        price = quote["ask"] if side == "buy" else quote["bid"]
        best = quote["ask_venue"] if side == "buy" else quote["bid_venue"]
        filled = Decimal(0) if denied else quantity
        reason = "free margin 812.40 is below the 1084.30 needed" if denied else _reason(group, best, price)
        checks = [{"code": "P-07", "passed": False, "value": "812.40", "limit": "1084.30", "text": reason}]
        return {
            "order_id": key,
            "at": time.time_ns() // 1_000,
            "account_id": f"{10_000 + self._count % 37}",
            "symbol": name,
            "side": side,
            "type": "market",
            "quantity": f"{quantity:.2f}",
            "filled": f"{filled:.2f}",
            "leaves": f"{quantity - filled:.2f}",
            "price": None,
            "average_price": None if denied else price,
            "state": "denied" if denied else "filled",
            "group": group,
            "mode": "" if denied else GROUPS[group],
            "reason": reason,
            "source": "api",
            "checks": checks if denied else [],
            "routing": None if denied else _routing(GROUPS[group], quantity, quote, best, reason, side),
        }


def _reason(group: str, best: str, price: str) -> str:
    if group == "a-book":
        return f"A-book group: {best} best at {price}, 3 venues weighed"
    if group == "b-book":
        return f"B-book group: kept, filled on the consolidated book at {price}"
    return f"Mixed 40 % A: {best} best at {price} for the A part, rest kept"


def _routing(mode: str, quantity: Decimal, quote: Row, best: str, text: str, side: str) -> Row:
    part = {"a": Decimal(1), "b": Decimal(0)}.get(mode, Decimal("0.4"))
    a_quantity = (quantity * part).quantize(Decimal("0.01"))
    price_of, size_of = ("ask", "ask_size") if side == "buy" else ("bid", "bid_size")
    ranked = sorted(quote["venues"], key=lambda row: (row["venue"] != best, row["venue"]))
    considered = [
        {
            "venue": row["venue"],
            "price": row[price_of],
            "size": row[size_of],
            "quote_age_ms": 40 * rank,
            "reject_rate": f"0.0{rank}",
            "priority": rank,
            "rank": rank,
            "cost": f"{rank * 3.5:.1f}",
            "text": "best price" if rank == 1 else "dearer than rank 1",
        }
        for rank, row in enumerate(ranked, start=1)
    ]
    split = {"a_quantity": f"{a_quantity:.2f}", "b_quantity": f"{quantity - a_quantity:.2f}", "cross_quantity": "0.00"}
    return {"rule": "group default", "version": 3, "mode": mode, **split, "text": text, "considered": considered}
