"""The event log as tables of money, breaks against brokers' statements, and reports of both."""

from __future__ import annotations

from django.apps import AppConfig


class ReportsConfig(AppConfig):
    name = "apps.reports"
    label = "reports"
