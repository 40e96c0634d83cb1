"""Django's connection to one tenant: search path and signed context always change together.

The context is what forced row-level security asks for, so a search path without it sees empty tables. It is signed for
this backend process and this tenant, lives CONTEXT_LIFE_S and is renewed by the first cursor after RENEW_AFTER_S, by
either clock: of UTC that is put forward PostgreSQL would take it for expired, and show empty tables (INV-20).
"""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.db import OperationalError
from django_tenants.postgresql_backend import base as tenants_base
from psycopg.pq import TransactionStatus

from piggy.messaging.context import CONTEXT_LIFE_S, signed_context

RENEW_AFTER_S = 200
REFUSED = "PostgreSQL refuses the context of {}: another key, or clocks that differ."
assert RENEW_AFTER_S < CONTEXT_LIFE_S, "a context must be renewed before it ends"

# One round trip: a path without its context, or the reverse, must not exist even for a moment.
SET_BOTH = "SELECT set_config('search_path', %s, false), set_config('piggy.tenant', %s, false)"
# And whose rows PostgreSQL then shows: of nobody's it would say that there are none, and not why.
SET_AND_LOOK = f"WITH set AS MATERIALIZED ({SET_BOTH}) SELECT guard.tenant() FROM set"


class DatabaseWrapper(tenants_base.DatabaseWrapper):  # type: ignore[misc]
    """PostgreSQL for one tenant at a time; the public schema has no context."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._renew_at_s = self._renew_at_utc_s = 0.0
        self.search_path_set_schemas: list[str] | None = None
        self._setting_search_path: bool = False
        super().__init__(*args, **kwargs)

    def set_tenant(self, tenant: Any, include_public: bool = True) -> None:
        """Choose the tenant; the connection itself changes with the next cursor."""
        super().set_tenant(tenant, include_public)
        self.search_path_set_schemas = None

    def _handle_search_path(self, cursor: Any = None) -> None:
        if self._setting_search_path:
            return
        is_fresh = time.monotonic() < self._renew_at_s and time.time() < self._renew_at_utc_s
        if self.search_path_set_schemas and is_fresh:
            return
        # A failed transaction accepts nothing but a rollback, and the rollback forgets what was set.
        if self.connection.info.transaction_status == TransactionStatus.INERROR:
            self.search_path_set_schemas = None
            return
        schemas = self._get_cursor_search_paths()
        path = ", ".join(tenants_base.quote_schema_name(schema) for schema in schemas)
        context = self._context()
        self._setting_search_path = True
        try:
            # A lost server must look as it does everywhere else: those who wait for it catch Django's errors only.
            with self.wrap_database_errors, self.connection.cursor() as own:
                own.execute(SET_AND_LOOK if context else SET_BOTH, [path, context])
                shown = own.fetchone()[0]
        finally:
            self._setting_search_path = False
        if context and shown != self.schema_name:
            raise OperationalError(REFUSED.format(self.schema_name))
        self.search_path_set_schemas = schemas
        self._renew_at_s, self._renew_at_utc_s = time.monotonic() + RENEW_AFTER_S, time.time() + RENEW_AFTER_S

    def _context(self) -> str:
        """Return the signed context of the chosen schema, or '' in public, which opens nothing."""
        if self.schema_name == tenants_base.get_public_schema_name():
            return ""
        return signed_context(
            key=settings.PIGGY_CONTEXT_KEY,
            tenant=self.schema_name,
            backend_pid=self.connection.info.backend_pid,
            expires_at_s=int(time.time()) + CONTEXT_LIFE_S,
        )
