from __future__ import annotations

from typing import Any

from apps.dealing.models import DeskLayout


def save_layout(*, user: Any, layout: dict[str, Any]) -> None:
    """Remember how a dealer has laid the page out."""
    DeskLayout.objects.update_or_create(user_id=user.pk, defaults={"layout": layout})
