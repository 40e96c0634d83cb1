"""The web process: HTTP to Django, websockets to the consumers. Refuses to start on a role that sees every broker."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "piggy.settings.dev")
django_application = get_asgi_application()

from channels.routing import ProtocolTypeRouter  # noqa: E402  (apps must be loaded first)

from apps.common.bodies import BoundedBodies  # noqa: E402
from apps.tenants.backend.roles import require_bound_role  # noqa: E402
from piggy.websockets import websockets  # noqa: E402

require_bound_role()
application = ProtocolTypeRouter({"http": BoundedBodies(django_application), "websocket": websockets()})
