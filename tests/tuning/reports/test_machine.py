"""Memory in use: of the machine, or of a container with less."""

from pathlib import Path

import pytest

from tuning.reports.machine import GIB, memory

MEMINFO = "MemTotal:       33554432 kB\nMemFree:         1000000 kB\nMemAvailable:   25165824 kB\n"


def group(folder: Path, limit: str) -> Path:
    for name, text in (("max", limit), ("current", str(5 * GIB)), ("stat", f"anon 1\ninactive_file {2 * GIB}\n")):
        (folder / f"memory.{name}").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("limit", "expected"), [("max", (8, 32)), (str(64 * GIB), (8, 32)), (str(16 * GIB), (3, 16)), ("", (8, 32))]
)
def test_the_smaller_of_machine_and_container(tmp_path: Path, limit: str, expected: tuple[float, float]) -> None:
    (tmp_path / "meminfo").write_text(MEMINFO)
    assert memory(tmp_path / "meminfo", group(tmp_path, limit)) == expected


def test_a_system_that_does_not_say(tmp_path: Path) -> None:
    assert memory(tmp_path / "absent", tmp_path) is None
    (tmp_path / "meminfo").write_text("MemTotal: 1 kB\n")
    assert memory(tmp_path / "meminfo", tmp_path) is None
    (tmp_path / "meminfo").write_text(MEMINFO)
    assert memory(tmp_path / "meminfo", tmp_path / "absent") == (8, 32)


def test_this_machine_has_memory() -> None:
    found = memory()
    assert found is not None
    assert 0 < found[0] < found[1]
