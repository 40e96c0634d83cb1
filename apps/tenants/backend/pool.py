"""What happens to a pooled connection between two borrowers."""

from __future__ import annotations

import psycopg


def discard_all(connection: psycopg.Connection[object]) -> None:
    """Forget every session setting, the tenant's context and search path first of all.

    psycopg's pool hands an idle connection on as it is, so without this the next borrower would read as the last one.
    """
    connection.autocommit = True
    connection.execute("DISCARD ALL")
