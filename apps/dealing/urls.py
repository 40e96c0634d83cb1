"""Where the desk lives on a broker's domain."""

from __future__ import annotations

from django.urls import path

from apps.dealing import api

app_name = "dealing"
urlpatterns = [
    path("", api.welcome, name="welcome"),
    path("desk/", api.desk, name="desk"),
    path("desk/snapshot/<slug:panel>", api.panel_snapshot, name="snapshot"),
]
