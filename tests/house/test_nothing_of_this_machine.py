"""No path of a machine, no registry's host, no secret is part of the project."""

from __future__ import annotations

import json
import re

from tests.house.tidy import ROOT, repository

PATHS = re.compile(r"(?<![\w.\-/])/(?:work|root|home/\w+|Users/\w+)/")
HOSTS = re.compile(r"\b(?:pypi\.org|files\.pythonhosted\.org|registry\.npmjs\.org|github\.com/[\w-]+/[\w-]+\.git)\b")
SECRETS = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----|(?:PASSWORD|SECRET)[A-Z_]*\s*=\s*['\"][^'\"{$]{12,}['\"]")
TEXTS = {".py", ".pyx", ".toml", ".txt", ".md", ".yaml", ".yml", ".json", ".sh", ".js", ".css", ".html", ".cfg", ""}


def test_no_machine_path_no_registry_host_no_secret() -> None:
    found = []
    for path in repository():
        if path.suffix not in TEXTS or path.name == "test_nothing_of_this_machine.py":
            continue
        text = path.read_text(errors="replace")
        rules = (PATHS, HOSTS) if path.is_relative_to(ROOT / "tests") else (PATHS, HOSTS, SECRETS)
        for rule in rules:
            found += [f"{path.relative_to(ROOT)}: {match.group()[:60]}" for match in rule.finditer(text)]
    assert found == []


def test_the_npm_lock_names_no_address() -> None:
    lock = json.loads((ROOT / "package-lock.json").read_text())
    assert [name for name, entry in lock["packages"].items() if "resolved" in entry] == []


def test_the_top_level_is_as_designed() -> None:
    fixed = {"manage.py", "piggy", "apps", "templates", "static", "requirements", "tests", "docker", "README.md"}
    beside = {"Makefile", "pyproject.toml", "package.json", "package-lock.json"}
    present = {path.relative_to(ROOT).parts[0] for path in repository()}
    assert {name for name in present if not name.startswith(".")} <= fixed | beside
