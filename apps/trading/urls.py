from __future__ import annotations

from django.urls import path

from apps.trading.api import views

urlpatterns = [
    path("orders", views.Orders.as_view()),
    path("orders/<str:order_id>", views.Order.as_view()),
    path("fills", views.Fills.as_view()),
    path("positions", views.Positions.as_view()),
]
