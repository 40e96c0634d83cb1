"""DontKnowTrade (35=Q): an execution that cannot be ours is denied to the LP once, kept, and a break on the desk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from piggy.adapters import tracking
from piggy.adapters.fix.config import SessionConfig
from piggy.core.commands import RecordVenueAck, RecordVenueFill, RecordVenueReject
from piggy.messaging import codec, streams
from tests.adapters.fix.raw_lp import LISTED, RawLp, listing
from tests.apps.liquidity.test_reports import child
from tests.simulator.lp_range import MAPPINGS, wait

FILL = (
    "37=V1|17={exec_id}|150=F|39=2|11={order}|55={symbol}|54={side}|38=300000|32={units}|31=1.1|14={units}|151=0|6=1.1|"
)


@pytest.fixture
def lp(acorn: Any, as_tenant: Any, redis_server: Any, tmp_path: Path) -> Iterator[RawLp]:
    """A link of the worker in this process, joined to an LP that says what it is told to; it knows order O1 of ours."""
    from django.conf import settings

    from apps.liquidity import services
    from apps.liquidity.worker.fix_link import FixLink

    raw = RawLp()
    raw.list = lambda lp, asked: lp.say("y", listing(asked["320"], LISTED))
    with as_tenant("acorn"):
        services.claim_order(child=child(1), client_id="O1-LP1-1")
    config = SessionConfig(
        tenant="acorn", venue="LP1", host="127.0.0.1", port=raw.port, sender_comp_id="ACORN", target_comp_id="LP1",
        home=tmp_path, symbols=MAPPINGS[:2],
    )  # fmt: skip
    link = FixLink(config=config, redis_url=settings.REDIS_URL)
    link.start()
    try:
        raw.wait("AF")
        yield raw
    finally:
        link.stop()
        raw.stop()


def test_what_cannot_be_ours_is_denied_once_and_put_before_people(lp: RawLp, as_tenant: Any, redis_server: Any) -> None:
    """F-14: unknown order, wrong side, more than was ordered, unknown symbol; a repeat and an order of ours are not."""
    from apps.liquidity import selectors
    from apps.liquidity.models import VenueReport

    ours = {"order": "O1-LP1-1", "symbol": "EURUSD", "side": "1", "units": "100000"}
    said = {
        "E1": ours,
        "E2": ours | {"order": "nobody"},
        "E3": ours | {"side": "2"},
        "E4": ours | {"units": "400000"},
        "E5": ours | {"symbol": "XXXYYY"},
    }
    for exec_id, values in said.items():
        lp.say("8", FILL.format(exec_id=exec_id, **values))
        lp.say("8", FILL.format(exec_id=exec_id, **values))
    lp.wait("Q", count=4)
    lp.drop()
    lp.wait("AF", count=2)
    for exec_id, values in said.items():
        lp.say("8", FILL.format(exec_id=exec_id, **values), again=True)
    lp.say("8", FILL.format(exec_id="E6", **ours | {"order": "nobody"}), again=True)
    lp.wait("Q", count=5)
    told = [(each["17"], each["127"], each["37"], each["32"]) for each in lp.of("Q")]
    assert told == [
        ("E2", "D", "V1", "100000"),
        ("E3", "B", "V1", "100000"),
        ("E4", "C", "V1", "400000"),
        ("E5", "A", "V1", "100000"),
        ("E6", "D", "V1", "100000"),
    ]
    with as_tenant("acorn"):
        assert VenueReport.objects.filter(kind="denial", heard_at__isnull=False).count() == 5
        assert selectors.parked_count() == 1, "whose lots nobody can tell waits for a person, once"
    fills = {each.fill_id for each in commands(redis_server) if isinstance(each, RecordVenueFill)}
    assert fills == {"E1", "E2", "E3", "E4", "E6"}, "the desk hears of them, and puts what fits nothing in suspense"


def test_an_order_that_the_lp_has_and_we_never_sent_is_told_to_the_desk_once(lp: RawLp, redis_server: Any) -> None:
    """The answer to OrderMassStatusRequest names it at every logon."""
    status = "37=V9|11={0}|17=0|150=I|39=0|55=EURUSD|54=1|38=100000|14=0|151=100000|6=0|584=all|"
    for order in ("ghost", "ghost", "O1-LP1-1"):
        lp.say("8", status.format(order))
    wait(lambda: "O1-LP1-1" in acknowledged(redis_server))
    assert sorted(acknowledged(redis_server)) == ["O1-LP1-1", "ghost"]


def acknowledged(client: Any) -> list[str]:
    return [each.cl_ord_id for each in commands(client) if isinstance(each, RecordVenueAck)]


def commands(client: Any) -> list[Any]:
    """Every command that the engine was told, once each."""
    found = {}
    for _, entry in client.xrange(streams.commands_key(tenant="acorn")):
        envelope = codec.decode_envelope(entry[streams.FIELD])
        found[envelope.command_id] = envelope.command
    return list(found.values())


def test_an_lp_that_takes_no_status_requests_is_asked_no_more(lp: RawLp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each would leave one more message before people; the order stays in doubt until the LP or a person settles it."""
    from apps.liquidity.worker.fix_link import FixLink

    ask, looks = FixLink._ask_status, list[str]()
    monkeypatch.setattr(FixLink, "_ask_status", lambda self, row: looks.append(row.cl_ord_id) or ask(self, row))
    monkeypatch.setattr("apps.liquidity.worker.link.ASK_AGAIN_S", 0.1)
    asked = lp.wait("H", count=3)
    lp.say("j", f"45={asked['34']}|372=H|380=3|58=unsupported message type|")
    heard(lp, "refused")
    # One look may have been under way as that was heard; each that follows is another occasion to ask.
    looks.clear()
    wait(lambda: len(looks) >= 2)
    heard(lp, "under way")
    count = len(lp.of("H"))
    looks.clear()
    wait(lambda: len(looks) >= 4)
    heard(lp, "the end")
    assert len(lp.of("H")) == count


def heard(lp: RawLp, what: str) -> None:
    """Wait until the other side has heard all that was said, and all that it said before is here."""
    lp.say("1", f"112={what}|")
    wait(lambda: any(each.get("112") == what for each in lp.of("0")))


def test_an_order_that_the_lp_does_not_know_at_first_is_asked_about_again(
    lp: RawLp, redis_server: Any, as_tenant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """INV-03: an LP just back up may not have its orders yet; what fills meanwhile is dealt nowhere else."""
    from apps.liquidity.models import VenueOrder, VenueReport

    def answers() -> int:
        with as_tenant("acorn"):
            return VenueReport.objects.filter(cl_ord_id="O1-LP1-1", kind="ignored").count()

    monkeypatch.setattr(tracking, "UNKNOWN_AGAIN_US", 1)
    answer = "37=NONE|11=O1-LP1-1|17=0|150=I|39=8|103=5|55=EURUSD|54=1|38=0|14=0|151=0|6=0|"
    lp.wait("H")
    lp.say("8", answer)
    wait(lambda: answers() == 1)
    lp.drop()
    lp.wait("AF", count=2)
    lp.say("8", answer)
    wait(lambda: answers() == 2)
    with as_tenant("acorn"):
        assert VenueOrder.objects.get().state == VenueOrder.State.DOUBT
    assert not [each for each in commands(redis_server) if isinstance(each, RecordVenueReject)]
    lp.wait("H", count=len(lp.of("H")) + 1)
    lp.say("8", answer)
    wait(lambda: any(isinstance(each, RecordVenueReject) for each in commands(redis_server)))
