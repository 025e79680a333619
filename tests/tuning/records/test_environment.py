"""The environment record: known data, a made checkout, an appended start."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recmodels.data.dataset import Interactions, RecDataset
from recmodels.errors import UserError
from tuning.records import environment as module
from tuning.records.environment import DataFacts, Environment, GitState, Gpu, git_state, versions


@pytest.fixture
def data() -> RecDataset:
    def split(n: int) -> Interactions:
        return Interactions.from_pairs(np.zeros(n, dtype=np.int64), np.arange(n), 3)

    return RecDataset("tiny", 3, 5, split(4), split(1), split(2), {}, "abc")


def test_records_data_start_and_machine_as_plain_json(data):
    record = Environment.now(data, ["run_search.py", "--model", "GRCN"], 2)
    assert (
        Environment.from_json(json.loads(json.dumps(record.to_json(), allow_nan=False)), Path("environment.json"))
        == record
    )
    assert record.data == DataFacts("tiny", "abc", users=3, items=5, train=4, valid=1, test=2)
    (start,) = record.starts
    assert start.argv == ["run_search.py", "--model", "GRCN"]
    assert start.threads_per_trial == 2
    assert record.cpu.cores >= 1
    assert record.cpu.name


def test_a_resume_appends_its_start_and_describes_the_present(data):
    first = Environment.now(data, ["first"], 1)
    first = replace(first, versions={"torch": "0.1"})
    second = Environment.now(data, ["second"], 2, earlier=first)
    assert [start.argv for start in second.starts] == [["first"], ["second"]]
    assert second.starts[0] == first.starts[0]
    assert second.versions == versions()
    assert len(first.starts) == 1


def test_versions_leave_out_what_is_not_installed(monkeypatch):
    monkeypatch.setattr(module, "PACKAGES", ("numpy", "no-such-distribution"))
    assert versions() == {"python": sys.version.split()[0], "numpy": np.__version__}


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)


def test_git_state_tells_a_clean_checkout_from_a_changed_one(tmp_path):
    git(tmp_path, "init")
    assert git_state(tmp_path) is None  # no commit yet
    (tmp_path / "a.py").write_text("1")
    git(tmp_path, "add", "a.py")
    git(tmp_path, "commit", "-m", "one")
    clean = git_state(tmp_path)
    assert len(clean.commit) == 40
    assert clean.dirty is False
    (tmp_path / "a.py").write_text("2")
    assert git_state(tmp_path) == GitState(clean.commit, dirty=True)


def test_a_folder_inside_another_project_is_no_checkout(tmp_path):
    git(tmp_path, "init")
    git(tmp_path, "commit", "--allow-empty", "-m", "one")
    (tmp_path / "site-packages").mkdir()
    assert git_state(tmp_path / "site-packages") is None


def test_a_machine_without_git_has_no_state(tmp_path, monkeypatch):
    git(tmp_path, "init")
    git(tmp_path, "commit", "--allow-empty", "-m", "one")
    assert git_state(tmp_path) is not None
    monkeypatch.setenv("PATH", "")
    assert git_state(tmp_path) is None


def test_names_each_gpu_and_the_driver(monkeypatch, tmp_path):
    """By a program of NVIDIA's: torch would initialise CUDA in the driver and hold memory until the search ends."""
    import torch

    def refuse(*_):
        raise AssertionError("torch was asked")

    for name in ("is_available", "device_count", "get_device_name", "get_device_properties"):
        monkeypatch.setattr(torch.cuda, name, refuse)
    tool = tmp_path / "nvidia-smi"
    tool.write_text(
        '#!/bin/sh\necho "$@" > asked\nprintf "NVIDIA H100 80GB HBM3, 550.1\\nCard, the second, 550.1\\n"\n'
    )
    tool.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert module._gpus() == [Gpu("NVIDIA H100 80GB HBM3", "550.1"), Gpu("Card, the second", "550.1")]
    assert (tmp_path / "asked").read_text() == "--query-gpu=name,driver_version --format=csv,noheader\n"
    for answer in ("echo No devices were found", "echo broken; exit 9"):
        tool.write_text(f"#!/bin/sh\n{answer}\n")
        assert module._gpus() == []
    tool.unlink()
    assert module._gpus() == []


def test_importing_it_loads_no_engine():
    """--help and --report must not wait for torch, ray, optuna or mlflow."""
    modules = (
        "tuning.records.environment, tuning.records.selection, tuning.export.winner, "
        "tuning.reports.search_report, tuning.reports.live"
    )
    code = f"import sys, {modules}; print([m for m in ('torch', 'ray', 'optuna', 'mlflow') if m in sys.modules])"
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_damaged_record_is_one_line(data):
    content = Environment.now(data, [], 1).to_json()
    with pytest.raises(UserError, match=r"^environment.json: cpu.cores: Input should be a valid integer"):
        Environment.from_json(content | {"cpu": {"name": "x", "cores": "many"}}, Path("environment.json"))
