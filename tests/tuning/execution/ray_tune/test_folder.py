"""Where a local Ray keeps its sockets."""

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from recmodels.errors import UserError
from tuning.execution.ray_tune import folder
from tuning.execution.ray_tune.folder import longest, private, ray_folder


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short path; pytest's own are long."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="t") as name:
        yield Path(name)


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch, short: Path) -> None:
    for name in ("TMPDIR", "RAY_TMPDIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(folder, "SHORT_PLACES", (str(short),))


def own(short: Path) -> Path:
    return short / f"mirrortune-{os.getuid()}" / "ray"


def test_ray_has_its_own_choice_where_its_sockets_fit(monkeypatch: pytest.MonkeyPatch, short: Path) -> None:
    assert ray_folder() == Path("/tmp/ray")
    monkeypatch.setenv("TMPDIR", "")
    assert ray_folder() == Path("/tmp/ray")
    monkeypatch.setenv("TMPDIR", str(short / "a"))
    assert ray_folder() == short / "a" / "ray"
    monkeypatch.setenv("RAY_TMPDIR", str(short / "b"))
    assert ray_folder() == short / "b" / "ray"


def test_a_relative_folder_is_made_absolute(monkeypatch: pytest.MonkeyPatch, short: Path) -> None:
    """Ray's processes have other working directories."""
    monkeypatch.chdir(short)
    monkeypatch.setenv("TMPDIR", "scratch")
    assert ray_folder() == short / "scratch" / "ray"


@pytest.mark.parametrize("name", ["TMPDIR", "RAY_TMPDIR"])
def test_a_path_that_is_too_long_for_a_socket_gives_way_to_a_short_one(
    monkeypatch: pytest.MonkeyPatch, short: Path, name: str
) -> None:
    fits = short / ("x" * (longest() - len(str(short)) - len("//ray")))
    monkeypatch.setenv(name, str(fits))
    assert ray_folder() == fits / "ray"
    assert len(str(fits / "ray")) == longest()
    monkeypatch.setenv(name, f"{fits}y")
    assert ray_folder() == own(short)
    assert stat.S_IMODE(own(short).parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("place", ["/proc/nowhere", "/dev/null", "ü"])
def test_a_folder_that_ray_cannot_use_gives_way(monkeypatch: pytest.MonkeyPatch, short: Path, place: str) -> None:
    monkeypatch.setenv("TMPDIR", str(short / place))
    assert ray_folder() == own(short)


def test_a_folder_that_somebody_else_has_put_there_is_not_taken(short: Path) -> None:
    (short / "theirs").mkdir()
    (short / "link").symlink_to(short / "theirs")
    (short / "file").touch()
    (short / "open").mkdir(mode=0o777)
    assert not private(short / "link")
    assert not private(short / "file")
    assert private(short / "open")
    assert stat.S_IMODE((short / "open").stat().st_mode) == 0o700
    if os.getuid() == 0:
        os.chown(short / "theirs", 1, 1)
        assert not private(short / "theirs")


def test_without_any_folder_the_way_out_is_one_line(monkeypatch: pytest.MonkeyPatch, short: Path) -> None:
    (short / own(short).parent.name).touch()
    monkeypatch.setenv("TMPDIR", str(short / ("x" * 90)))
    with pytest.raises(UserError) as error:
        ray_folder()
    assert str(error.value).startswith(f"Ray needs a folder that it can write, of at most {longest()} ASCII characters")
    assert str(error.value).endswith("set RAY_TMPDIR")
