"""Every broker's domain answers these addresses: the admin, and whatever each app has in its urls."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from django.apps import apps
from django.contrib import admin
from django.templatetags.static import static
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularSwaggerSplitView

import piggy.celery  # noqa: F401  Without it a page would send its tasks to no broker of ours.
from apps.common.described import Described

SAFE = ["get", "head"]
handler403 = "apps.common.api.forbidden"
handler404 = "apps.common.api.not_found"
handler500 = "apps.common.api.failed"


def _of_our_apps() -> list[URLPattern | URLResolver]:
    """Collect `apps.<name>.urls` of every installed app of ours; their paths start at the root."""
    names = [config.name for config in apps.get_app_configs() if config.name.startswith("apps.")]
    return [path("", include(import_module(f"{name}.urls"))) for name in names if find_spec(f"{name}.urls")]


urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
    path("api/v1/schema", Described.as_view(), name="schema"),
    # A page: what it could be asked for in JSON has no template.
    path("api/v1/docs", SpectacularSwaggerSplitView.as_view(url_name="schema", http_method_names=SAFE), name="docs"),
    path("api/docs/", RedirectView.as_view(pattern_name="docs")),
    path("api/schema/", RedirectView.as_view(pattern_name="schema")),
    path("favicon.ico", RedirectView.as_view(url=static("piggy/icon.svg"))),
    *_of_our_apps(),
    path("", RedirectView.as_view(url="/admin/")),
]
