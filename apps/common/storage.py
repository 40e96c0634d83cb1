"""Files of one tenant under one folder, named by the schema the request is in."""

from __future__ import annotations

from django.core.exceptions import SuspiciousFileOperation
from django.core.files.storage import FileSystemStorage
from django.db import connection
from django.utils._os import safe_join


class TenantStorage(FileSystemStorage):
    """MEDIA_ROOT/<schema>/...; a path of another tenant does not resolve, and public has no files."""

    def path(self, name: str) -> str:
        """Return the absolute path inside the tenant's folder."""
        if connection.schema_name == "public":
            raise SuspiciousFileOperation("A file needs a tenant.")
        # The tenant's folder is the base: joined under MEDIA_ROOT only, '../birch/x' would still be inside it.
        return safe_join(safe_join(self.location, connection.schema_name), name)

    def url(self, name: str | None) -> str:
        """Files are handed out by views that check who asks, never by address."""
        raise NotImplementedError("Files have no public address.")
