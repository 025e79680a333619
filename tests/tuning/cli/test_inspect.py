"""The facts about a data set as plain tables and as JSON."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import run_search


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    lines = ["0\t0\t0", "0\t1\t1", "0\t2\t2", "1\t0\t0", "2\t1\t2"]  # user 2 is not in training
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "toy.inter").write_text("\n".join(["userID\titemID\tx_label", *lines]))
    np.save(tmp_path / "toy" / "image_feat.npy", np.array([[3, 4], [0, 0], [0, -0.0]], dtype=np.float32))
    return tmp_path


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Any:
    """The exit code, what the command printed and what it said of faults."""
    logger = logging.getLogger("mirrortune")
    before = list(logger.handlers)

    def run(*argv: str) -> tuple[int, str, str]:
        code = run_search.main(["inspect", *argv])
        logger.handlers[:] = before
        return code, *capsys.readouterr()

    return run


def test_tables_are_plain_text_with_the_loaders_warning(command: Any, data_dir: Path) -> None:
    code, out, err = command("toy", "--data-dir", str(data_dir))
    assert (code, err) == (0, "")
    assert "\x1b" not in out
    rows = {line.split("  ")[0].strip(): line.split() for line in out.splitlines()}
    assert rows["training"] == ["training", "2", "2", "1"]
    assert rows["all"] == ["all", "4", "3", "3"]
    assert rows["density"] == ["density", "44.4444%"]
    assert rows["image"] == ["image", "1.667", "0", "0", "0", "0", "2.5", "4.5", "5"]  # its last table: norms
    assert rows["training and test"][-1] == "0"
    assert out.count("warning: ") == 1
    assert "dropped 1 validation and test lines of 1 users without a training line" in out


def test_json_is_all_that_is_printed(command: Any, data_dir: Path) -> None:
    code, out, _ = command("toy", "--json", "--data-dir", str(data_dir))
    facts = json.loads(out)
    assert code == 0
    assert facts["features"]["image"]["commonest_is"] == "zero"
    assert facts["cold"]["users"] == 1
    assert facts["popularity"]["test"]["recall@5"] == 1
    assert len(facts["warnings"]) == 1


def test_any_name_that_a_search_accepts(command: Any) -> None:
    code, out, _ = command("demo@fake=0.5", "--json")
    assert (code, json.loads(out)["name"]) == (0, "demo@fake=0.5")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ((), "the following arguments are required: NAME"),
        (("demo", "--jsno"), "--jsno: no such option; did you mean '--json'?"),
        (("dmeo",), "data set 'dmeo' is not built in"),
        (("demo@nosie=1",), "data set 'demo@nosie=1': no corruption 'nosie'; did you mean 'noise'?"),
    ],
)
def test_faults_are_one_line(command: Any, argv: tuple[str, ...], message: str) -> None:
    code, out, err = command(*argv)
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith(f"run_search.py: {message}")
