"""What the desk asks about venues on a broker's domain."""

from __future__ import annotations

from django.urls import path

from apps.liquidity import api

urlpatterns = [
    path("desk/scorecards", api.scorecards, name="scorecards"),
    path("desk/shadow-report", api.shadow_report, name="shadow-report"),
]
