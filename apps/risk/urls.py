from __future__ import annotations

from django.urls import path

from apps.risk import api

urlpatterns = [
    path("api/v1/accounts", api.Accounts.as_view()),
    path("api/v1/notices", api.Notices.as_view()),
    path("api/v1/risk-warning", api.RiskWarning.as_view()),
]
