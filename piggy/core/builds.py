"""Builds: which rules a decision was made by, named by what they compile to, so that no one need remember to say so."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from types import CodeType, FunctionType

BUILD_DIGITS = 12


def build_of(*, namespaces: Iterable[Mapping[str, object]]) -> str:
    """Return a short digest (hex) of the functions and plain constants of modules; another rule gives another one.

    It is the same in every process of one Python version that runs the same source.
    """
    digest = hashlib.sha256()
    for namespace in namespaces:
        for name, value in sorted(namespace.items()):
            if isinstance(value, FunctionType):
                parts: Iterable[str] = _of_code(value.__code__)
            elif name.isupper() and isinstance(value, int | str | Decimal | frozenset):
                parts = (_of_constant(value),)
            else:
                continue
            digest.update("\x1f".join((name, *parts)).encode())
    return digest.hexdigest()[:BUILD_DIGITS]


def _of_code(code: CodeType) -> Iterator[str]:
    yield code.co_code.hex()
    yield " ".join((*code.co_names, *code.co_varnames))
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _of_code(constant)
        else:
            yield _of_constant(constant)


def _of_constant(value: object) -> str:
    # The text of a set of words is in another order in every process.
    return repr(sorted(map(repr, value))) if isinstance(value, frozenset) else repr(value)
