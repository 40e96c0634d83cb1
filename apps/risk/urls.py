from __future__ import annotations

from django.urls import path

from apps.risk.api import accounts, views

urlpatterns = [
    path("api/v1/accounts", views.Accounts.as_view()),
    path("api/v1/accounts/<str:account_id>", accounts.Account.as_view()),
    path("api/v1/accounts/<str:account_id>/movements", accounts.Movements.as_view()),
    path("api/v1/accounts/<str:account_id>/statement", accounts.Statement.as_view()),
    path("api/v1/accounts/<str:account_id>/margin-events", accounts.MarginEvents.as_view()),
    path("api/v1/notices", views.Notices.as_view()),
    path("api/v1/risk-warning", views.RiskWarning.as_view()),
]
