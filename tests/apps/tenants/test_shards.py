"""A broker is given to another shard from the command line; workers serve one shard, or all."""

from __future__ import annotations

import os
from typing import Any

import psycopg

from apps.tenants import selectors
from apps.tenants.backend import shards
from tests.apps.operating import manage


def test_a_broker_moves_to_a_shard_and_whoever_serves_all_shards_still_serves_it(acorn: Any, birch: Any) -> None:
    move = ("tenant", "move", "acorn", "--to", "second")
    refused = manage(*move)
    assert (refused.returncode, selectors.active_schemas(shard="second")) == (1, [])
    assert "No engine runs shard second" in refused.stderr
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"]) as owner:
        owner.execute(
            "INSERT INTO public.engine_lease (shard, token, holder, expires_at)"
            " VALUES ('second', 1, 'test', clock_timestamp() - interval '1 second')"
        )
        assert not shards.is_served(cursor=owner.cursor(), shard="second"), "one that has ended holds nothing"
        owner.execute("UPDATE public.engine_lease SET expires_at = 'infinity' WHERE shard = 'second'")
    done = manage(*move)
    try:
        assert done.returncode == 0, done.stderr
        assert "from shard main to second" in done.stdout
        assert selectors.active_schemas(shard="second") == ["acorn"]
        assert selectors.active_schemas(shard="main") == ["birch"]
        assert selectors.active_schemas(shard=selectors.ALL_SHARDS) == ["acorn", "birch"]
    finally:
        with psycopg.connect(os.environ["DATABASE_OWNER_URL"]) as owner:
            owner.execute("DELETE FROM public.engine_lease WHERE shard = 'second'")
            assert shards.move(cursor=owner.cursor(), schema="acorn", source="second", target="main")


def test_a_broker_may_wait_in_a_shard_for_its_engine_where_that_is_said(acorn: Any) -> None:
    done = manage("tenant", "move", "acorn", "--to", "second", "--unserved")
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"]) as owner:
        assert shards.move(cursor=owner.cursor(), schema="acorn", source="second", target="main"), done.stderr
