"""Set the project up with nothing but a Python: environment, QuickFIX, compiled core, browser files.

`python3 -m piggy.local.bootstrap [--dev]`; standard library only, because nothing else is there yet. Every part is
stamped when finished: the second run costs nothing, and an interrupted one goes on where it stopped.
"""

from __future__ import annotations

import argparse
import ctypes.util
import fcntl
import os
import shutil
import sys
import sysconfig
from pathlib import Path

from piggy.local import browser, steps
from piggy.local.steps import Step, UnableToSetUp, say

ROOT = Path(__file__).resolve().parents[2]
HOME = Path(os.environ.get("PIGGY_HOME") or ROOT / ".run").resolve()
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOGS = HOME / "log"
WHEELS = HOME / "wheels"
LOCK = ROOT / "requirements" / "lock.txt"
BASE, DEV = ROOT / "requirements" / "base.txt", ROOT / "requirements" / "dev.txt"
SLOW = "quickfix"
SLOW_FLAGS = "-O1 -g0"  # About four minutes on two cores instead of ten; what it does at run time is input and output.
PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input")


def main() -> int:
    """Bring everything up to date; returns the exit code."""
    options = argparse.ArgumentParser(description="Set the project up.")
    options.add_argument("--dev", action="store_true", help="also what tests and checks need")
    wanted = options.parse_args()
    try:
        HOME.mkdir(parents=True, exist_ok=True)
        lock = (HOME / "setup.lock").open("w")
    except OSError as error:
        print(f"\n{error}: nothing can be kept there; PIGGY_HOME=dir names another folder.", file=sys.stderr)
        return 1
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            set_up(dev=wanted.dev)
        except UnableToSetUp as error:
            print(f"\n{error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("\nStopped; the next run goes on from here.", file=sys.stderr)
            return 130
    return 0


def set_up(*, dev: bool) -> None:
    """Do what is not done yet. QuickFIX compiles beside everything else, because it takes the longest."""
    system = system_packages(dev=dev)
    make_environment()
    compiling = None if is_installed(dev=dev) else compile_quickfix()
    try:
        if not is_installed(dev=dev):
            install(dev=dev)
        browser.bring(root=ROOT, python=PYTHON, logs=LOGS)
        if compiling is not None:
            compiling.require()
        if not is_installed(dev=dev):
            install_quickfix()
            remember_installed(dev=dev)
    finally:
        if compiling is not None:
            compiling.stop()
    compile_core()
    if system is not None and not system.wait():
        say(f"  warning: system packages were not installed (see {system.log}); PDFs or browser tests may be missing")


def make_environment() -> None:
    """Make .venv, or make it anew when its Python is gone or is another one."""
    stamp, value = VENV / ".stamp-python", steps.fingerprint(files=[], extra=sys.base_prefix)
    if steps.is_stamped(stamp=stamp, value=value) and PYTHON.exists():
        return
    if PYTHON.exists() and not stamp.exists() and not _half().exists() and _runs_like_us():
        steps.put_stamp(stamp=stamp, value=value)  # An environment made by hand with this very Python will do.
        return
    shutil.rmtree(VENV, ignore_errors=True)
    try:
        # A link to another disk, or a volume, stays where it is.
        VENV.mkdir(exist_ok=True)
        _half().touch()
    except OSError as error:
        raise UnableToSetUp(f"{error}: no environment can be made there; take {VENV} away.") from error
    Step(
        name=f"making .venv with Python {sys.version.split()[0]}",
        argv=[sys.executable, "-m", "venv", str(VENV)],
        log=LOGS / "setup-venv.log",
    ).start().require()
    steps.put_stamp(stamp=stamp, value=value)
    _half().unlink()


def _half() -> Path:
    """Return the mark of an environment that is being made: interrupted, it has a Python and no pip."""
    return VENV / ".half"


def _runs_like_us() -> bool:
    return (VENV / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages").is_dir()


def requirement_files(*, dev: bool) -> list[Path]:
    """Return the files that say what is wanted."""
    return [BASE, LOCK, *([DEV] if dev else [])]


def is_installed(*, dev: bool) -> bool:
    """Tell whether the packages of these very files are installed; the set with tests holds the one without."""
    return any(
        steps.is_stamped(stamp=VENV / f".stamp-{name}", value=steps.fingerprint(files=requirement_files(dev=with_dev)))
        for name, with_dev in (("dev", True), ("base", False))
        if with_dev or not dev
    )


def remember_installed(*, dev: bool) -> None:
    """Stamp the installed set."""
    value = steps.fingerprint(files=requirement_files(dev=dev))
    steps.put_stamp(stamp=VENV / f".stamp-{'dev' if dev else 'base'}", value=value)


def quickfix_pin() -> str:
    """Return the line of base.txt that names QuickFIX."""
    return next(line for line in BASE.read_text().splitlines() if line.startswith(SLOW))


def compile_quickfix() -> Step | None:
    """Start the compilation unless its wheel is there already."""
    version = quickfix_pin().partition("==")[2]
    if list(WHEELS.glob(f"{SLOW}-{version}-{_tag()}-*.whl")) or _has_quickfix(version):
        return None
    _require_compiler()
    return Step(
        name="compiling QuickFIX",
        why_long="its C++ engine comes as source only; about 4 minutes once",
        # An older pip would build it the old way, with a package named wheel that a new environment does not have.
        argv=[str(PYTHON), *PIP, "wheel", "--use-pep517", "--no-deps", f"--wheel-dir={WHEELS}", quickfix_pin()],
        env={"CXXFLAGS": SLOW_FLAGS, "CFLAGS": SLOW_FLAGS},
        log=LOGS / "setup-quickfix.log",
    ).start()


def _tag() -> str:
    return f"cp{sys.version_info[0]}{sys.version_info[1]}"


def _has_quickfix(version: str) -> bool:
    return any(VENV.glob(f"lib/python*/site-packages/{SLOW}-{version}.dist-info"))


def _require_compiler() -> None:
    """Say what is missing before minutes are spent on finding out."""
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    compiler = next(filter(shutil.which, (os.environ.get("CXX", "").split(" ")[0] or "c++", "g++", "clang++")), None)
    missing = [
        *([] if headers.exists() else [f"the headers of Python {sys.version.split()[0]} ({headers} is not there)"]),
        *([] if compiler else ["a C++ compiler (c++, g++ or clang++)"]),
    ]
    if missing:
        raise UnableToSetUp(
            f"QuickFIX has to be compiled, and this machine lacks {' and '.join(missing)}.\n"
            "On Debian or Ubuntu: apt-get install g++ python3-dev"
        )


def install(*, dev: bool) -> None:
    """Install every package but QuickFIX at its pinned version."""
    wanted = HOME / "requirements.txt"
    lines = [line for file in requirement_files(dev=dev) if file != LOCK for line in file.read_text().splitlines()]
    wanted.write_text("\n".join(line for line in lines if not line.startswith(SLOW)) + "\n")
    Step(
        name="installing the pinned packages",
        why_long="about 150 of them, 400 MB unpacked; a minute or so",
        argv=[str(PYTHON), *PIP, "install", "--prefer-binary", "-r", str(wanted), "-c", str(LOCK)],
        log=LOGS / "setup-packages.log",
    ).start().require()


def install_quickfix() -> None:
    """Put the compiled wheel into the environment."""
    Step(
        name="installing QuickFIX",
        argv=[str(PYTHON), *PIP, "install", "--no-deps", f"--find-links={WHEELS}", "--prefer-binary", quickfix_pin()],
        log=LOGS / "setup-quickfix-install.log",
    ).start().require()


def compile_core() -> None:
    """Compile the Cython modules that changed."""
    sources = sorted((ROOT / "piggy").rglob("*.pyx")) + sorted((ROOT / "piggy").rglob("*.pxd"))
    stamp, value = VENV / ".stamp-core", steps.fingerprint(files=sources)
    built = all(any(source.parent.glob(f"{source.stem}.*.so")) for source in sources if source.suffix == ".pyx")
    if not sources or (built and steps.is_stamped(stamp=stamp, value=value)):
        return
    Step(
        name="compiling the order book",
        argv=[str(PYTHON), "-m", "piggy.local.build"],
        cwd=ROOT,
        log=LOGS / "setup-core.log",
    ).start().require()
    steps.put_stamp(stamp=stamp, value=value)


def system_packages(*, dev: bool) -> Step | None:
    """As root on Debian start installing what no wheel has: Pango for PDFs, Chromium for browser tests."""
    wanted = []
    if ctypes.util.find_library("pango-1.0") is None or ctypes.util.find_library("harfbuzz-subset") is None:
        wanted += ["libpango-1.0-0", "libpangoft2-1.0-0", "libharfbuzz-subset0"]
    if dev and not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        wanted += ["chromium"]
    if not wanted or os.geteuid() != 0 or not shutil.which("apt-get"):
        return None
    install_them = f"apt-get update -qq && apt-get install -y -qq --no-install-recommends {' '.join(wanted)}"
    return Step(
        name=f"system packages {' '.join(wanted)}",
        argv=["sh", "-c", install_them],
        env={"DEBIAN_FRONTEND": "noninteractive"},
        log=LOGS / "setup-system.log",
    ).start()


if __name__ == "__main__":
    raise SystemExit(main())
