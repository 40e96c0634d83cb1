"""The web process for a WSGI server: everything but the sockets."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "piggy.settings.dev")
application = get_wsgi_application()
