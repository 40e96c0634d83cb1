"""Where the desk lives on a broker's domain."""

from __future__ import annotations

from django.urls import path

from apps.dealing.api import actions, pages, previews, reports

app_name = "dealing"
urlpatterns = [
    path("", pages.welcome, name="welcome"),
    path("desk/", pages.desk, name="desk"),
    path("desk/snapshot/<slug:panel>", pages.panel_snapshot, name="snapshot"),
    path("desk/facts/<slug:name>", pages.facts, name="facts"),
    path("desk/orders/<str:order_id>", pages.order_file, name="order-file"),
    path("desk/orders/<str:order_id>/receipt", pages.order_receipt, name="order-receipt"),
    path("desk/reports/<slug:name>.<slug:kind>", reports.desk_report, name="report"),
    path("desk/actions/<slug:kind>", actions.Act.as_view(), name="act"),
    path("desk/previews/<slug:kind>", previews.Preview.as_view(), name="preview"),
    path("desk/layout", actions.Layout.as_view(), name="layout"),
]
