"""All links of this process: which there should be, under which lease, and their quotes to the engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import structlog
from django.conf import settings
from django.db import connection
from django.db.utils import Error
from msgspec import structs

from apps.common import sealing
from apps.liquidity import selectors, services
from apps.liquidity.models import CredentialKind
from apps.liquidity.worker.fix_link import FixLink
from apps.liquidity.worker.lease import Leases
from apps.liquidity.worker.link import Link
from apps.liquidity.worker.venue_link import VenueLink
from apps.tenants.selectors import active_schemas, database_identity
from apps.tenants.services import in_tenant
from piggy.adapters.fix.config import SessionConfig
from piggy.adapters.interface import VenueConfig
from piggy.core.market import VenueQuote, VenueStatus
from piggy.messaging.client import Client, UnableToTell
from piggy.messaging.installation import Claim, UnableToShare

WATCH_S = 1.0
PUBLISH_S = 0.01
REFRESH_S = 1.0
# An engine that begins waits for it.
STATE_S = 0.25

log = structlog.get_logger(__name__)
Name = tuple[str, str]
Config = SessionConfig | VenueConfig


class Supervisor:
    """Three threads: which links there are, what they quote, what the engine has not yet recorded."""

    def __init__(self) -> None:
        self._links: dict[Name, Link] = {}
        self._configs: dict[Name, Config] = {}
        self._leases = Leases()
        self._client = Client(redis_url=settings.REDIS_URL)
        self._claim: Claim | None = None
        self._stopping = threading.Event()
        self._home = Path(settings.PIGGY_HOME) / "fix"
        self._threads = [
            threading.Thread(target=self._watch, name="fix-watch", daemon=True),
            threading.Thread(target=self._publish, name="fix-quotes", daemon=True),
            threading.Thread(target=self._sweep, name="fix-sweep", daemon=True),
        ]

    def start(self) -> None:
        """Start watching; links follow."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Log out everywhere."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=10)
        enders = [threading.Thread(target=link.stop) for link in self._links.values()]
        for ender in enders:
            ender.start()
        for ender in enders:
            ender.join()
        self._links.clear()
        self._leases.close()
        self._client.close()
        if self._claim is not None:
            self._claim.close()

    def _watch(self) -> None:
        while not self._stopping.is_set():
            try:
                self._match(self._wanted() if self._is_redis_ours() else {})
            except Error as error:
                log.warning("fix_watch_waits_for_database", error=str(error))
                connection.close()
            except Exception:
                log.exception("fix_watch_failed")
            self._stopping.wait(WATCH_S)
        connection.close()

    def _is_redis_ours(self) -> bool:
        """Whether orders on its streams are for our venues: else there are no links, or they would fill another's."""
        if self._claim is None:
            self._claim = Claim(redis_url=settings.REDIS_URL, identity=database_identity())
        try:
            self._claim.look()
        except UnableToShare as error:
            log.error("fix_redis_is_anothers", error=str(error))
            return False
        return True

    def _wanted(self) -> dict[Name, Config]:
        wanted: dict[Name, Config] = {}
        for tenant in active_schemas(shard=settings.PIGGY_SHARD):
            with in_tenant(tenant):
                found: dict[str, Config] = {**selectors.session_configs(tenant=tenant, home=self._home)}
                found |= selectors.venue_configs(tenant=tenant)
            wanted |= {(tenant, venue): config for venue, config in found.items()}
        return wanted

    def _match(self, wanted: dict[Name, Config]) -> None:
        # After PostgreSQL restarted the locks are free; who has the session takes its own again.
        lost = {name for name in self._leases.lost() if not self._leases.take(name)}
        for name, link in list(self._links.items()):
            if wanted.get(name) != self._configs.get(name) or _lease_name(name) in lost:
                del self._links[name]
                link.stop()
                self._leases.give(_lease_name(name))
                log.info("fix_link_stopped", tenant=name[0], venue=name[1])
        for name, config in wanted.items():
            if name not in self._links and self._leases.take(_lease_name(name)):
                self._begin(name, config)

    def _begin(self, name: Name, config: Config) -> None:
        """Start a link with its secrets, which are opened here and kept nowhere else."""
        try:
            with in_tenant(name[0]):
                secrets = selectors.open_credentials(tenant=name[0], venue=name[1])
        except (sealing.UnableToOpen, sealing.UnableToReachKeys) as error:
            # F-28: no session without its credential; the ones that run live on. Tried again at the next look.
            log.error("fix_credential_unavailable", tenant=name[0], venue=name[1], error=str(error))
            self._leases.give(_lease_name(name))
            return
        link = _link(config, secrets)
        self._configs[name] = config
        self._links = self._links | {name: link}
        link.start()
        log.info("fix_link_started", tenant=name[0], venue=name[1])

    def _publish(self) -> None:
        refresh_at = state_at = 0.0
        while not self._stopping.wait(PUBLISH_S):
            now_s = time.monotonic()
            whole, stated = now_s >= refresh_at, now_s >= state_at
            refresh_at = now_s + REFRESH_S if whole else refresh_at
            state_at = now_s + STATE_S if stated else state_at
            batches: dict[str, list[VenueQuote | VenueStatus]] = {}
            for (tenant, venue), link in self._links.items():
                batch = batches.setdefault(tenant, [])
                try:
                    batch.extend(_news(link, whole=whole, stated=stated))
                except Exception:
                    # One LP's nonsense must not stop the quotes of all others, nor this thread for ever.
                    log.exception("fix_quotes_failed", tenant=tenant, venue=venue)
            self._send(batches)

    def _send(self, batches: dict[str, list[VenueQuote | VenueStatus]]) -> None:
        for tenant, batch in batches.items():
            if batch:
                try:
                    self._client.publish_market_data(tenant=tenant, batch=batch)
                except UnableToTell as error:
                    log.warning("quotes_not_sent", tenant=tenant, error=str(error))
                    self._stopping.wait(WATCH_S)

    def _sweep(self) -> None:
        while not self._stopping.wait(WATCH_S):
            try:
                for tenant in active_schemas(shard=settings.PIGGY_SHARD):
                    with in_tenant(tenant):
                        services.sweep(tenant=tenant, now=datetime.now(UTC))
            except (Error, UnableToTell) as error:
                log.warning("fix_sweep_waits", error=str(error))
                connection.close()
            except Exception:
                log.exception("fix_sweep_failed")
        connection.close()


def _news(link: Link, *, whole: bool, stated: bool) -> Iterator[VenueQuote | VenueStatus]:
    """Yield what a link has to tell: its state where that is due or changed, then quotes, all of them or the new."""
    if stated or link.status_changed:
        link.status_changed = False
        yield link.status()
    changed = link.changed_quotes()
    yield from link.all_quotes() if whole else changed


def _link(config: Config, secrets: dict[str, str]) -> Link:
    """Return the link of a config with its secrets put in."""
    password = secrets.get(CredentialKind.PASSWORD, "")
    if isinstance(config, SessionConfig):
        return FixLink(config=structs.replace(config, password=password), redis_url=settings.REDIS_URL)
    key = secrets.get(CredentialKind.API_KEY, config.key)
    opened = structs.replace(config, key=key, secret=secrets.get(CredentialKind.API_SECRET, password))
    return VenueLink(config=opened, redis_url=settings.REDIS_URL)


def _lease_name(name: Name) -> str:
    return "/".join(name)
