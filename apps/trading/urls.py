from __future__ import annotations

from django.urls import path

from apps.trading.api import positions, receipts, strategies, views, what_ifs

urlpatterns = [
    path("api/v1/orders", views.Orders.as_view()),
    path("api/v1/orders/what-if", what_ifs.OrderWhatIf.as_view()),
    path("api/v1/orders/<str:order_id>", views.Order.as_view()),
    path("api/v1/orders/<str:order_id>/what-if", what_ifs.AmendmentWhatIf.as_view()),
    path("api/v1/orders/<str:order_id>/requote", views.Requote.as_view()),
    path("api/v1/orders/<str:order_id>/receipt", receipts.Receipt.as_view()),
    path("api/v1/accounts/<str:account_id>/close-all", positions.CloseAll.as_view()),
    path("api/v1/fills", views.Fills.as_view()),
    path("api/v1/strategies/<str:strategy_id>/refused", strategies.Refused.as_view()),
    path("api/v1/positions", positions.Positions.as_view()),
    path("api/v1/positions/<str:position_id>", positions.Position.as_view()),
    path("api/v1/positions/<str:position_id>/what-if", what_ifs.CloseWhatIf.as_view()),
]
