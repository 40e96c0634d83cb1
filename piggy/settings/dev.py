"""One machine, demo brokers, plain HTTP on localhost."""

from __future__ import annotations

from piggy.settings import base

globals().update({name: value for name, value in vars(base).items() if name.isupper()})

DEBUG = base.ENV.flag("PIGGY_DEBUG", default=False)
