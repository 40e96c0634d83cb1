"""Which fold a snapshot was made by: a hash over the source of everything that a desk's state follows from."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

FORMAT = "1"
PACKAGE = "piggy.core"
FOLD = "piggy.core.folding"
# Of these only their own text: the desk also decides, and that changes no snapshot.
ALSO = (
    "piggy.core.desk",
    "piggy.core.shelf",
    "piggy.core.forgotten",
    "piggy.core.leaving",
    "piggy.engine.snapshot",
    "piggy.messaging.fold_form",
    "piggy.messaging.upcasting",
)
# Read as lines: every keeper and every engine begins with this, and a parser takes a tenth of a second for it.
_FROM = re.compile(r"^ *from (piggy\.core(?:\.\w+)*) import (?:\(([^)]*)\)|([^(\n]*)$)", re.MULTILINE)
_NAME = re.compile(r"(?:^|,)\s*(\w+)")


@cache
def fold_version() -> str:
    """Return 16 hex digits that change with the fold, its message types or the form of a snapshot."""
    digest = hashlib.sha256(FORMAT.encode())
    for name in (*sorted(_with_imports(FOLD)), *ALSO):
        digest.update(name.encode() + b"\0" + _source(name).read_bytes())
    return digest.hexdigest()[:16]


def _with_imports(name: str) -> set[str]:
    found, waiting = set[str](), [name]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        if _source(name).suffix == ".py":
            waiting += _imports(_source(name))
    return found


def _imports(path: Path) -> list[str]:
    """Return the modules of the core that a module names, in either form of `from … import`."""
    found = []
    for module, several, one in _FROM.findall(path.read_text()):
        if module == PACKAGE:
            found += [f"{PACKAGE}.{name}" for name in _NAME.findall(several or one)]
        else:
            found.append(module)
    return found


def _source(name: str) -> Path:
    spec = find_spec(name)
    assert spec is not None, name
    assert spec.origin is not None, name
    path = Path(spec.origin)
    # A compiled module stands for its source, which lies beside it.
    return path if path.suffix == ".py" else path.with_name(f"{name.rpartition('.')[2]}.pyx")
