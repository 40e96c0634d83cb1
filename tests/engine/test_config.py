"""An engine's settings: what is missing or is not what it must be stops the start, and is named."""

from __future__ import annotations

import pytest

from piggy.engine.config import CONTEXT_KEY_BYTES_MIN, EngineConfig, UnableToReadConfig

KEY = "ab" * CONTEXT_KEY_BYTES_MIN
WHOLE = {"DATABASE_URL": "d", "REDIS_URL": "r", "PIGGY_CONTEXT_KEY": KEY, "PIGGY_SIGNAL_KEY": KEY}


def test_what_is_whole_is_read() -> None:
    config = EngineConfig.from_env({**WHOLE, "PIGGY_EDGE_PORT": "8011", "PIGGY_TAPE_DAYS": ""})
    assert (config.context_key, config.edge_port, config.tape_days) == (bytes.fromhex(KEY), 8011, 7)
    assert KEY not in repr(config) and str(config.signal_key) not in repr(config)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, "") for name in WHOLE),
        ("PIGGY_CONTEXT_KEY", KEY[2:]),
        ("PIGGY_SIGNAL_KEY", KEY[2:]),
        ("PIGGY_SIGNAL_KEY", "x" * 64),
        ("PIGGY_SIGNALS_WAITING_MAX", "-1"),
        ("PIGGY_STRATEGY_SIGNALS_PER_S_MAX", "many"),
        ("PIGGY_EDGE_PROXIES", "10.0.0.0/8,nowhere"),
    ],
)
def test_what_is_wrong_is_named_and_no_key_is_told(name: str, value: str) -> None:
    with pytest.raises(UnableToReadConfig, match=name) as caught:
        EngineConfig.from_env({**WHOLE, name: value})
    assert "KEY" not in name or not value or value not in str(caught.value)
