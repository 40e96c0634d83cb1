"""The production shape stays valid: commands exist, nothing is missing, no secret has a default."""

from __future__ import annotations

import importlib.util
import re
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import uvicorn
import yaml
from daphne.cli import CommandLineInterface

from apps.dealing.consumers.socket import MESSAGE_BYTES_MAX
from piggy.local import programs

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if service["image"] == "piggy-broker")
NEEDED = {"DATABASE_URL", "REDIS_URL", "PIGGY_SECRET_KEY", "PIGGY_CONTEXT_KEY", "PIGGY_SIGNAL_KEY"}
ENV = {"FLOW": "0", "PIGGY_WEB_PORT": "8000"}
SECRET = re.compile(r"\$\{(\w*(?:PASSWORD|KEY)\w*)([^}]*)\}")


def test_every_process_of_the_design_is_there() -> None:
    expected = {"postgres", "redis", "migrate", "web", "engine", "projector", "worker", "fix", "beat", "proxy"}
    assert expected <= SERVICES.keys()


@pytest.mark.parametrize("name", OURS)
def test_a_command_names_what_exists(name: str) -> None:
    command = SERVICES[name]["command"]
    assert command[0] == "python"
    if command[1] == "manage.py":
        assert list((ROOT / "apps").glob(f"*/management/commands/{command[2]}.py"))
        return
    assert command[1] == "-m"
    assert importlib.util.find_spec(command[2]) is not None
    if command[2] == "piggy.engine":
        assert (ROOT / "piggy" / "engine" / "__main__.py").exists()
    application = next(
        (part.partition(":")[0] for part in command if part.startswith("piggy.") and part != command[2]), None
    )
    if application:
        assert importlib.util.find_spec(application) is not None


@pytest.mark.parametrize("name", OURS)
def test_a_process_has_the_environment_it_needs(name: str) -> None:
    assert SERVICES[name]["environment"].keys() >= NEEDED


def test_only_the_migration_knows_the_owner() -> None:
    knows = {name for name in SERVICES if "DATABASE_OWNER_URL" in SERVICES[name].get("environment", {})}
    assert knows == {"migrate"}


def test_no_secret_has_a_default_and_the_example_names_them_all() -> None:
    found = SECRET.findall((DOCKER / "compose.yml").read_text())
    # Of secrets of before there may be none.
    assert {rest for name, rest in found if not name.endswith("_FALLBACKS")} == {":?"}
    example = dict(line.split("=") for line in (DOCKER / "env.example").read_text().splitlines() if "=" in line)
    assert set(example) == {name for name, _ in found}
    assert set(example.values()) == {""}


def test_the_queue_never_forgets() -> None:
    command = " ".join(SERVICES["redis"]["command"])
    assert "--maxmemory-policy noeviction" in command
    assert "--appendonly yes" in command


def test_mounted_files_and_dependencies_exist() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (DOCKER / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]
        assert set(service.get("depends_on", [])) <= SERVICES.keys()


def test_only_the_proxy_speaks_for_others_and_nobody_else_can_have_its_address() -> None:
    """Trusted by all, anybody inside would choose the address that allow-lists and limits see."""
    address = SERVICES["proxy"]["networks"]["default"]["ipv4_address"]
    web, engines = SERVICES["web"]["command"], (SERVICES["engine"], SERVICES["engine-standby"])
    assert web[web.index("--forwarded-allow-ips") + 1] == address
    assert {each["environment"]["PIGGY_EDGE_PROXIES"] for each in engines} == {address}
    (pool,) = COMPOSE["networks"]["default"]["ipam"]["config"]
    assert ip_address(address) in ip_network(pool["subnet"])
    assert ip_address(address) not in ip_network(pool["ip_range"]), "which the others have theirs from"


def test_the_proxy_leads_to_services_that_exist() -> None:
    text = (DOCKER / "Caddyfile").read_text()
    named = re.findall(r"reverse_proxy ([^{\n]+)", text)
    assert {place.partition(":")[0] for places in named for place in places.split()} <= SERVICES.keys()


def test_the_web_process_answers_what_the_proxy_asks_before_it_makes_a_certificate() -> None:
    asked = re.findall(r"permission http http://web:8000(/\S+)", (DOCKER / "Caddyfile").read_text())
    assert asked
    probes = (ROOT / "apps" / "common" / "probes.py").read_text()
    assert all(f'"{path}"' in probes for path in asked)


def test_the_image_has_the_static_files_that_production_names_by_hash() -> None:
    """Without them every page fails: `CompressedManifestStaticFilesStorage` knows no other name."""
    made = (DOCKER / "Dockerfile").read_text()
    assert "collectstatic" in made
    assert made.index("piggy.local.browser") < made.index("collectstatic")


def test_inv_26_no_server_puts_together_more_of_a_message_than_the_desk_takes() -> None:
    """However it is started: its own limit is a megabyte or sixteen."""
    started = [next(each.argv[3:] for each in programs.of(env=ENV, python=Path("python")) if each.name == "web")]
    started.append(SERVICES["web"]["command"][3:])
    sizes = [uvicorn.main.make_context("uvicorn", list(each)).params["ws_max_size"] for each in started]
    assert sizes == [MESSAGE_BYTES_MAX] * 2
    env = ENV | {"PIGGY_ASGI": "daphne"}
    (argv,) = [each.argv[3:] for each in programs.of(env=env, python=Path("python")) if each.name == "web"]
    asked = CommandLineInterface().parser.parse_args(argv)
    assert {asked.websocket_max_message_size, asked.websocket_max_frame_size} == {MESSAGE_BYTES_MAX}


def test_the_pool_of_the_process_with_the_sessions_is_not_a_web_process_own() -> None:
    """Three connections a session: two brokers of three LPs each need more than the twenty of a web process."""
    size = int(SERVICES["fix"]["environment"]["PIGGY_DATABASE_POOL_SIZE_MAX"])
    assert size == int(programs.FIX_POOL["PIGGY_DATABASE_POOL_SIZE_MAX"]) >= 100


def test_the_database_counts_as_up_only_when_its_first_start_is_over() -> None:
    """The server of the first start, which has no roles yet, listens on its socket alone."""
    check = SERVICES["postgres"]["healthcheck"]["test"]
    assert check[check.index("-h") + 1] == "127.0.0.1"


def test_a_second_engine_waits_for_the_lease_of_the_first() -> None:
    """F-01: the same shard, so that one of them decides; `up --wait` returns when it may."""
    first, second = SERVICES["engine"], SERVICES["engine-standby"]
    assert first["environment"]["PIGGY_SHARD"] == second["environment"]["PIGGY_SHARD"]
    assert "/warmz" in " ".join(second["healthcheck"]["test"])
    # Or `--wait` gives up on a new program that reads a long log from its first event.
    assert second["healthcheck"]["start_period"] == "30m"


def test_f_27_no_old_projector_reads_beside_new_columns_or_after_a_new_engine() -> None:
    """It would leave the columns of new orders empty for ever, or halt at an event of tomorrow."""
    steps = [line.split("#")[0] for line in (DOCKER / "README.md").read_text().splitlines() if "/compose.yml " in line]
    steps = [line.split("compose.yml ")[1].split() for line in steps]
    wanted = [
        ["stop", "projector"],
        ["run", "--rm", "migrate"],
        ["up", "-d", "--no-deps", "projector"],
        ["up", "-d", "--no-deps", "--wait", "engine-standby"],
        ["up", "-d", "--no-deps", "--wait", "engine"],
    ]
    first = steps.index(wanted[0])
    assert steps[first : first + len(wanted)] == wanted
    rest = steps[first + len(wanted)]
    assert {*rest} >= {name for name in OURS if not name.startswith(("engine", "migrate", "projector"))}


def test_a_backup_is_made_by_the_one_role_that_sees_every_row() -> None:
    """Row-level security is forced, so that it binds the owner, as whom `pg_dump` ends with an error."""
    dumps = re.findall(r"exec -T (\S+) pg_(?:dump|restore) -U (\S+)", (DOCKER / "README.md").read_text())
    assert dumps == [("postgres", SERVICES["postgres"]["environment"]["POSTGRES_USER"])] * 2
