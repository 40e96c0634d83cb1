from __future__ import annotations

from django.urls import path

from apps.risk import api

urlpatterns = [path("api/v1/accounts", api.Accounts.as_view())]
