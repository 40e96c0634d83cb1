"""The desk's websocket: one hub per process and tenant, one bounded queue per socket."""

from django.urls import path

from apps.dealing.consumers.socket import DeskConsumer

websocket_urlpatterns = [path("ws/desk/", DeskConsumer.as_asgi())]
