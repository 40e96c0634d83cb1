"""A database as the engine finds it: the real wall, an event log per tenant, and addresses of two brokers."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace

import psycopg
from psycopg import sql

from apps.tenants.backend import guard
from piggy.engine.config import EngineConfig
from piggy.local.services import LocalServices

BLOCK_BYTES = 64
SHARED = """
CREATE TABLE tenants_tenant (id serial PRIMARY KEY, schema_name text UNIQUE, shard text, is_active boolean);
CREATE TABLE tenants_domain (id serial PRIMARY KEY, domain text UNIQUE, tenant_id int REFERENCES tenants_tenant);
CREATE TABLE engine_lease (shard text PRIMARY KEY, token bigint, holder text, expires_at timestamptz);
"""
EVENT_LOG = """
CREATE SCHEMA {schema};
CREATE TABLE {schema}.django_migrations (id int);
CREATE TABLE {schema}.event_log (
  seq bigint PRIMARY KEY, command_id uuid NOT NULL, position smallint NOT NULL, type text NOT NULL,
  version smallint NOT NULL, principal text NOT NULL, request_hash text NOT NULL, occurred_at timestamptz NOT NULL,
  recorded_at timestamptz NOT NULL, recorded_mono_ns bigint NOT NULL, payload bytea NOT NULL,
  prev_hash bytea NOT NULL, hash bytea NOT NULL, UNIQUE (command_id, position));
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {schema}.event_log
  FOR EACH STATEMENT EXECUTE FUNCTION guard.refuse_change();
"""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Services with a database; every test takes tenants and a shard of its own."""

    services: LocalServices
    context_key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    signal_key: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def prepare(self) -> None:
        """Build the wall and the shared tables."""
        key = self.context_key.ljust(BLOCK_BYTES, b"\0")
        with self.as_owner() as owner:
            owner.execute(SHARED)
            run(owner, guard.GUARD)
            owner.execute(guard.DROP_POLICIES)
            pads = {"ipad": bytes(byte ^ 0x36 for byte in key), "opad": bytes(byte ^ 0x5C for byte in key)}
            owner.execute(guard.SET_KEY, pads)
            run(owner, guard.GRANT_SHARED)

    def add_tenant(self, *, shard: str) -> str:
        """Make a protected tenant with an empty log; returns its schema, which is its host name too."""
        tenant = f"t{secrets.token_hex(6)}"
        with self.as_owner() as owner:
            run(owner, EVENT_LOG, tenant)
            run(owner, guard.PROTECT, tenant)
            run(owner, guard.GRANT, tenant)
            row = owner.execute(
                "INSERT INTO tenants_tenant (schema_name, shard, is_active) VALUES (%s, %s, true) RETURNING id",
                (tenant, shard),
            ).fetchone()
            owner.execute(
                "INSERT INTO tenants_domain (domain, tenant_id) VALUES (%s, %s)", (f"{tenant}.localhost", row[0])
            )
        return tenant

    def as_owner(self) -> psycopg.Connection:
        """Connect as the role that owns the tables."""
        return psycopg.connect(self.services.owner_url, autocommit=True)

    def log_rows(self, *, tenant: str) -> list[tuple]:
        """Return (seq, command_id, position, type) of the whole log, as the superuser sees it."""
        with psycopg.connect(self.services.postgres.url(role="postgres")) as everything:
            query = sql.SQL("SELECT seq, command_id::text, position, type FROM {}.event_log ORDER BY seq")
            return everything.execute(query.format(sql.Identifier(tenant))).fetchall()

    def tamper(self, *, tenant: str, statement: str) -> None:
        """Do as a superuser, its triggers taken off, what the database refuses everybody else."""
        with psycopg.connect(self.services.postgres.url(role="postgres"), autocommit=True) as everything:
            table = sql.Identifier(tenant, "event_log")
            everything.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(table))
            everything.execute(statement)

    def config(self, *, shard: str, edge_port: int = 0, holder: str = "here") -> EngineConfig:
        """Return an engine's settings on this ground."""
        return replace(
            EngineConfig(
                database_url=self.services.database_url,
                redis_url=self.services.redis_url,
                context_key=self.context_key,
                signal_key=self.signal_key,
            ),
            shard=shard,
            edge_port=edge_port,
            holder=holder,
            lease_life_s=2,
        )


def run(connection: psycopg.Connection, text: str, schema: str = "public") -> None:
    """Run a script of the wall with its names put in."""
    script = sql.SQL(text).format(
        app=sql.Identifier("piggy_app"), schema=sql.Identifier(schema), schema_text=sql.Literal(schema)
    )
    connection.execute(script)
