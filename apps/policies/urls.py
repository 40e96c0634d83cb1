from __future__ import annotations

from django.urls import path

from apps.policies.api import symbols

urlpatterns = [path("api/v1/accounts/<str:account_id>/symbols", symbols.Symbols.as_view())]
