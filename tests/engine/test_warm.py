"""A desk that is kept warm: what it is trusted with, and what is forgotten of it at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from piggy.core.desk import Desk
from piggy.engine import recovery
from piggy.engine.config import EngineConfig
from piggy.engine.standby import DOMAINS, Warm
from piggy.engine.status import Status
from piggy.engine.witness import Witness
from piggy.messaging.chain import Tip


@pytest.fixture
def warm(tmp_path: Path) -> Warm:
    """One that follows the log of elm."""
    config = EngineConfig(database_url="", redis_url="", context_key=b"", signal_key=b"")
    made = Warm(config=config, status=Status(), witness=Witness(home=tmp_path))
    made.desks["elm"], made.tips["elm"] = Desk(tenant="elm"), Tip(7, b"x")
    return made


async def follow(warm: Warm) -> None:
    nobody: Any = None
    await warm._bring_up(nobody, "elm")


async def test_a_desk_that_a_page_was_folded_into_by_half_is_not_followed_on(
    warm: Warm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F-08: PostgreSQL goes in the midst of a page; what comes after it would be folded upon half of one."""

    async def goes(**_: Any) -> None:
        raise psycopg.OperationalError("the connection is lost")

    monkeypatch.setattr(recovery, "catch_up", goes)
    with pytest.raises(psycopg.OperationalError):
        await follow(warm)
    assert not (warm.desks or warm.tips)


@pytest.mark.parametrize("is_accepted", [False, True])
async def test_f_34_nothing_is_said_of_a_log_that_was_accepted_before_its_numbers_are_skipped(
    is_accepted: bool, warm: Warm, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def there_is_nothing_new(**_: Any) -> None: ...

    monkeypatch.setattr(recovery, "catch_up", there_is_nothing_new)
    said: Any = None
    warm.accepted |= {"elm": said} if is_accepted else {}
    await follow(warm)
    assert list(warm._witness._seen) == ([] if is_accepted else ["elm"])


async def test_who_left_is_not_asked_for_again_under_the_distrust_of_before(warm: Warm) -> None:
    class Tables:
        async def execute(self, query: str, _: Any) -> Any:
            self.rows = [] if query == DOMAINS else [("elm", False, True, "1"), ("fir", False, False, "1")]
            return self

        async def fetchall(self) -> list[Any]:
            return self.rows

    tables: Any = Tables()
    warm.untrusted |= {"elm", "fir", "oak"}
    assert await warm.tenants(connection=tables) == warm.untrusted == {"elm"}
