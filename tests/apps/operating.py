"""Commands as an operator gives them, in this process: to start one for each takes seconds."""

from __future__ import annotations

import subprocess
from io import StringIO

from django.core.management import CommandError, call_command
from django.db import connection


def manage(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of manage.py; its code and both its outputs are those it would end with.

    A command may become the owner of the schemas; afterwards this is the broker's own role again, where it was.
    """
    said, complained, code = StringIO(), StringIO(), 0
    kept = {**connection.settings_dict, "OPTIONS": dict(connection.settings_dict["OPTIONS"])}
    tenant, included = connection.tenant, connection.include_public_schema
    try:
        connection.set_schema_to_public()
        call_command(*words, stdout=said, stderr=complained)
    except CommandError as error:
        code = error.returncode
        complained.write(f"CommandError: {error}\n")
    finally:
        connection.close()
        connection.settings_dict.update(kept)
        connection.set_tenant(tenant, included)
    return subprocess.CompletedProcess(words, code, said.getvalue(), complained.getvalue())
