"""The load of bench desk, in a process of its own: venues' ticks and clients' orders to a real engine.

    python -m piggy.bench.desk_load TENANT SYMBOLS TICKS_PER_S ORDERS_PER_S

Says "ready" once the engine has taken the accounts, and goes on until it is stopped.
"""

from __future__ import annotations

import os
import random
import sys
import time
from decimal import Decimal

from piggy.bench.opening import VENUES, UnableToOpenDesk, market, open_desk, opening
from piggy.core.commands import Envelope, PlaceOrder
from piggy.core.market import Level, VenueQuote
from piggy.core.orders import OrderTerms, Side
from piggy.messaging.client import Client, command_id_of

ACCOUNTS = 200
BEAT_S = 0.02
ANSWER_S_MAX = 120.0
TICK = Decimal("0.00001")
LEVELS = 64
LOTS = Decimal("0.1")


def symbols_of(count: int) -> tuple[str, ...]:
    """Return `count` made-up pairs against the dollar."""
    return tuple(f"{number:03}USD" for number in range(count))


def main(tenant: str, symbols: int, ticks_per_s: int, orders_per_s: int) -> None:
    """Open the desk, then offer the load at its rate."""
    names, client = symbols_of(symbols), Client(redis_url=os.environ["REDIS_URL"])
    commands = opening(accounts=ACCOUNTS, symbols=names)
    try:
        open_desk(client=client, tenant=tenant, commands=commands, wait_s=ANSWER_S_MAX)
    except UnableToOpenDesk as error:
        raise SystemExit(str(error)) from error
    client.publish_market_data(tenant=tenant, batch=market(now_us=time.time_ns() // 1_000, symbols=names))
    print("ready", flush=True)
    _offer(client, tenant, names, ticks_per_s, orders_per_s)


def _offer(client: Client, tenant: str, names: tuple[str, ...], ticks_per_s: int, orders_per_s: int) -> None:
    chance, number, ticks, orders, due_s = random.Random(7), 0, 0.0, 0.0, time.monotonic()
    bids = [(Level(Decimal("1.10000") + TICK * at, Decimal(50)),) for at in range(LEVELS)]
    asks = [(Level(Decimal("1.10010") + TICK * at, Decimal(50)),) for at in range(LEVELS)]
    places = dict.fromkeys(names, LEVELS // 2)
    while True:
        due_s += BEAT_S
        time.sleep(max(0.0, due_s - time.monotonic()))
        ticks, orders = ticks + ticks_per_s * BEAT_S, orders + orders_per_s * BEAT_S
        now_us, batch = time.time_ns() // 1_000, []
        while ticks >= 1:
            ticks -= 1
            name = chance.choice(names)
            at = places[name] = min(LEVELS - 1, max(0, places[name] + chance.randint(-1, 1)))
            venue = chance.choice(VENUES)
            batch.append(
                VenueQuote(
                    venue=venue, symbol=name, bids=bids[at], asks=asks[at], venue_at_us=now_us, received_at_us=now_us
                )
            )
        client.publish_market_data(tenant=tenant, batch=list(batch))
        while orders >= 1:
            orders -= 1
            number += 1
            side = Side.BUY if number // ACCOUNTS % 2 else Side.SELL
            terms = OrderTerms(
                account_id=f"c{number % ACCOUNTS}",
                symbol=names[number % len(names)],
                side=side,
                quantity=Decimal("0.1"),
            )
            command_id = command_id_of("bench", tenant, "order", str(number))
            envelope = Envelope(command_id=command_id, command=PlaceOrder(terms=terms), principal="bench")
            client.tell(tenant=tenant, envelope=envelope)


if __name__ == "__main__":
    main(sys.argv[1], *(int(each) for each in sys.argv[2:5]))
