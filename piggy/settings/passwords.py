"""How passwords are kept: Django's own PBKDF2-SHA256, as many times over as is advised today (E-09)."""

from __future__ import annotations

from django.contrib.auth.hashers import PBKDF2PasswordHasher

# What Django comes with counts fewer. Who logs in with a password kept so has it kept anew.
ITERATIONS_MIN = 1_200_000


class Pbkdf2(PBKDF2PasswordHasher):
    """Never fewer than ITERATIONS_MIN, and as many as Django if that is more."""

    iterations = max(ITERATIONS_MIN, PBKDF2PasswordHasher.iterations)
