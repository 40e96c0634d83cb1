"""E-09: how passwords are kept, and which are taken, by the settings that real installations have."""

from __future__ import annotations

import pytest
from django.contrib.auth.password_validation import get_password_validators, validate_password
from django.core.exceptions import ValidationError
from django.utils.module_loading import import_string

from piggy.settings import base

ADVISED = 1_200_000


def test_e_09_a_password_is_hashed_as_often_as_advised_and_an_older_hash_is_made_anew() -> None:
    (name,) = base.PASSWORD_HASHERS
    hasher = import_string(name)()
    assert hasher.algorithm == "pbkdf2_sha256"
    assert hasher.iterations >= ADVISED
    salt = hasher.salt()
    assert hasher.must_update(f"pbkdf2_sha256$1000000${salt}$kept")
    assert not hasher.must_update(f"pbkdf2_sha256${hasher.iterations}${salt}$kept")


def test_e_09_common_and_short_passwords_are_refused_and_long_ones_are_not() -> None:
    validators = get_password_validators(base.AUTH_PASSWORD_VALIDATORS)
    for refused in ("password1234", "qwerty123456", "only 11 now"):
        with pytest.raises(ValidationError):
            validate_password(refused, password_validators=validators)
    for taken in ("fifteen letters", "x" * 20 + " and many more words of one sentence that nobody guesses"):
        validate_password(taken, password_validators=validators)
