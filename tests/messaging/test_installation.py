"""A Redis is one installation's: a second one behind the same server takes nothing, and is told why."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
import redis

from piggy.core.commands import ActOnTime, Envelope
from piggy.local.services import LocalServices
from piggy.messaging import client, streams
from piggy.messaging.installation import KEY, Claim, UnableToShare


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with LocalServices(tmp_path_factory.mktemp("queue"), fast=True, with_postgres=False) as services:
        yield services.redis_url


@pytest.fixture
def server(url: str) -> Iterator[redis.Redis]:
    wire = redis.Redis.from_url(url)
    wire.delete(KEY)
    yield wire
    wire.close()


def claim(url: str, identity: str) -> Claim:
    return Claim(redis_url=url, identity=identity)


def test_who_comes_first_has_it_and_any_other_is_told_what_to_do(url: str, server: redis.Redis) -> None:
    claim(url, "1/live").look()
    claim(url, "1/live").look()
    with pytest.raises(UnableToShare, match=f"of the database 1/live, and this one's is 2/copy.*`DEL {KEY}`"):
        claim(url, "2/copy").look()
    assert server.get(KEY) == b"1/live"


def test_another_database_of_the_server_is_no_other_server(url: str, server: redis.Redis) -> None:
    """What is published is heard in all of them."""
    claim(url, "1/live").look()
    with pytest.raises(UnableToShare):
        claim(f"{url.rpartition('/')[0]}/3", "2/copy").look()


def test_when_the_server_is_emptied_it_is_its_owners_turn(url: str, server: redis.Redis) -> None:
    """Or the one that should not be there might be the first, and the live one would stand still."""
    live, copy = claim(url, "1/live"), claim(url, "2/copy")
    live.look()
    for _ in range(2):
        with pytest.raises(UnableToShare):
            copy.look()
        server.delete(KEY)
    live.look()
    assert server.get(KEY) == b"1/live"
    server.set(KEY, "2/copy")
    copy.look()
    with pytest.raises(UnableToShare):
        live.look()


def test_of_a_server_that_is_away_nobody_takes_anything() -> None:
    """An engine goes on without Redis."""
    claim("redis://127.0.0.1:1/0", "1/live").look()


def test_what_is_known_to_be_ours_is_taken(url: str, server: redis.Redis) -> None:
    claim(url, "2/before").look()
    mine = claim(url, "1/live")
    mine.take()
    mine.look()
    assert server.get(KEY) == b"1/live"
    mine.close()


def test_nothing_is_told_to_the_engines_of_another(
    url: str, server: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What somebody tries in a copy would be done at the live desk."""
    monkeypatch.setattr(client, "LOOK_S", 0.0)
    asked = Envelope(command_id=str(uuid.uuid4()), command=ActOnTime(), principal="ann")
    door = client.Client(redis_url=url, identity=lambda: "2/copy")
    key = streams.commands_key(tenant="acorn")
    door.tell(tenant="acorn", envelope=asked)
    assert server.xlen(key) == 1
    server.set(KEY, "1/live")
    with pytest.raises(client.UnableToTell, match="another installation"):
        door.tell(tenant="acorn", envelope=asked)
    with pytest.raises(client.UnableToTell, match="another installation"):
        door.ask(tenant="acorn", envelope=asked, wait_s=1)
    with pytest.raises(client.UnableToTell, match="another installation"):
        door.tell_all(tenant="acorn", envelopes=[asked])
    assert server.xlen(key) == 1
    door.close()


def test_it_is_looked_at_now_and_then_and_not_with_every_order(
    url: str, server: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Envelope(command_id=str(uuid.uuid4()), command=ActOnTime(), principal="ann")
    door = client.Client(redis_url=url, identity=lambda: "1/live")
    looks: list[str] = []
    monkeypatch.setattr(client, "LOOK_S", 60.0)
    monkeypatch.setattr(Claim, "look", lambda self: looks.append("look"))
    for _ in range(3):
        door.tell(tenant="acorn", envelope=asked)
    assert len(looks) == 1


def test_a_database_that_is_away_when_it_is_first_asked_is_a_command_not_told(url: str, server: redis.Redis) -> None:
    said: list[str] = []

    def identity() -> str:
        if not said:
            raise ConnectionError("the server closed the connection")
        return said[0]

    asker = client.Client(redis_url=url, identity=identity)
    asked = Envelope(command_id=str(uuid.uuid4()), command=ActOnTime(), principal="test")
    with pytest.raises(client.UnableToTell, match="closed the connection"):
        asker.tell(tenant="away", envelope=asked)
    said.append("1/live")
    asker.tell(tenant="away", envelope=asked)
    assert server.xlen(streams.commands_key(tenant="away")) + server.xlen(streams.urgent_key(tenant="away")) == 1
    asker.close()
