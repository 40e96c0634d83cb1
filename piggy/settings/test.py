"""The tests: real PostgreSQL and Redis, cheap password hashes, log lines that stay out of the way."""

from __future__ import annotations

import os

# What tools without servers (mypy, makemigrations) start with; tests/conftest.py sets the real addresses first.
for name, value in {
    "DATABASE_URL": "postgresql://piggy_app@localhost/piggy_test",
    "REDIS_URL": "redis://localhost/0",
    "PIGGY_ENV": "test",
    "PIGGY_SECRET_KEY": "only-for-tests-" * 4,
    "PIGGY_CONTEXT_KEY": "c0" * 32,
    "PIGGY_SIGNAL_KEY": "51" * 32,
}.items():
    os.environ.setdefault(name, value)

if not os.environ.get("PIGGY_KEK_FILE"):
    os.environ.setdefault("PIGGY_KEKS", '{"current": "test", "keys": {"test": "' + "7e" * 32 + '"}}')

from piggy.settings import base  # noqa: E402

globals().update({name: value for name, value in vars(base).items() if name.isupper()})

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
LOGGING = {"level": "WARNING"}
CELERY_TASK_ALWAYS_EAGER = False
