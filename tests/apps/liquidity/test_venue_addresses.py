"""Where a venue may be said to be."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from apps.liquidity.models.providers import STREAM_URL


@pytest.mark.parametrize("address", ["wss://stream.venue.example/ws", "http://127.0.0.1:80", "tcp://gateway:4001"])
def test_a_stream_is_reached_over_the_web_or_a_gateways_socket(address: str) -> None:
    STREAM_URL(address)


@pytest.mark.parametrize("address", ["tcp://gateway", "tcp://gateway:4001/x", "file:///etc/passwd", "ftp://venue:21"])
def test_nothing_else_is_an_address(address: str) -> None:
    with pytest.raises(ValidationError):
        STREAM_URL(address)
