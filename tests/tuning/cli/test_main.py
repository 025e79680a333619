"""Every bad input is one line and exit code 2, and leaves nothing behind."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import run_search
from recmodels.data import load_dataset
from recmodels.models import MODELS
from recmodels.training import STRATEGIES
from tests.tuning.cli.helpers import refused
from tests.tuning.factories import ENVIRONMENT, made_folder
from tuning.cli import main
from tuning.records.environment import DataFacts

pytestmark = pytest.mark.usefixtures("here")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--resume", "s", "--replay", "f.yaml"), "--resume and --replay: expected one of them, not several"),
        (("--list-models", "--list-datasets"), "--list-models and --list-datasets: expected one of them, not several"),
        (("--resume", "maed"), "--resume maed: no such search in searches; did you mean 'made'?"),
        (("--resume", "made", "--output-dir", "else"), "--resume made: no such search in else"),
        (("--resume", "made", "--trials", "0"), "--trials: Input should be greater than or equal to 1"),
        (("--resume", "torn"), "{here}/searches/torn/spec.yaml:1: not valid YAML"),
        (("--replay", "absent.yaml"), "absent.yaml: No such file or directory, expected an exported configuration"),
        (
            ("--replay", "texd.yaml"),
            "texd.yaml: No such file or directory, expected an exported configuration; did you ",
        ),
        (("prepaer", "baby"), "prepaer: no such option or command; did you mean 'prepare'?"),
        (("--replay", "text.yaml"), "text.yaml: spec: Input should be"),
        (("--replay", "text.yaml", "--trials", "3"), "--trials: has no meaning with --replay"),
    ],
)
def test_a_mode_that_cannot_be(capsys: Any, here: Path, arguments: tuple[str, ...], message: str) -> None:
    made_folder(here)
    (here / "searches" / "torn").mkdir()
    (here / "searches" / "torn" / "spec.yaml").write_text("name: [")
    (here / "text.yaml").write_text("just text")
    assert refused(capsys, *arguments).startswith(message.format(here=here))


def test_a_spec_whose_space_was_changed_by_hand(capsys: Any, here: Path) -> None:
    train = {"optimizer": "adam", "learning_rate": 0.1, "batch_size": 64, "weight_decay": 0.0}
    folder = made_folder(here, space={"strategy": {"alpha": 0.1}, "train": train})
    folder.write_environment(replace(ENVIRONMENT, data=DataFacts.of(load_dataset("demo"))))
    assert refused(capsys, "--resume", "made").startswith("space: 0 <= beta < alpha must hold, but got alpha=0.1")


@pytest.mark.parametrize(
    ("option", "names"),
    [("models", sorted(MODELS)), ("strategies", sorted(STRATEGIES)), ("datasets", ["demo", "mine"])],
)
def test_lists_names_one_a_line(capsys: Any, here: Path, option: str, names: list[str]) -> None:
    (here / "data" / "mine").mkdir(parents=True)
    (here / "data" / "mine" / "mine.inter").touch()
    assert run_search.main([f"--list-{option}", "--data-dir", "data"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line.startswith("synthetic:")] == names
    assert lines == sorted(lines)


@pytest.mark.parametrize(("argument", "code"), [("search --help", 0), ("--modle", 2)])
def test_help_and_a_misspelt_option_need_no_heavy_import(argument: str, code: int) -> None:
    script = f"""
import json, sys
import run_search
from tuning.cli import main
heavy = ("torch", "ray", "mlflow", "optuna", "numpy", "pandas")
try:
    code = run_search.main({argument.split()!r})
except SystemExit as end:
    code = end.code
print(json.dumps([code, [name for name in heavy if name in sys.modules]]))
"""
    root = Path(run_search.__file__).parent
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [code, []]
    assert ("--epoch-budget" in done.stdout) == (code == 0)


def test_an_interruption_is_one_line(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "run", interrupt)
    assert run_search.main([]) == 130
    assert capsys.readouterr().err == "run_search.py: interrupted\n"


def test_a_reader_who_has_enough_is_no_fault() -> None:
    unbuffered = os.environ | {"PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, run_search.__file__, "--list-models"],
        env=unbuffered,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    errors = process.stderr.read()
    assert (process.wait(timeout=900), errors) == (141, b"")
