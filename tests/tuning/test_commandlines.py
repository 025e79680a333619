"""The command lines that a search ends with can be pasted into a shell."""

import shlex
from pathlib import Path

import pytest

from tests.tuning.factories import made_spec
from tuning.commandlines import next_steps
from tuning.spec import Budget, Tracking


def test_the_next_commands_survive_a_shell():
    spec = made_spec(data_dir="my data", tracking=Tracking(uri="sqlite:///my runs.db"), budget=Budget(trials=30))
    steps = next_steps(spec, Path("best of/GRCN.yaml"))
    assert [shlex.split(step) for step in steps] == [
        ["mlflow", "ui", "--backend-store-uri", "sqlite:///my runs.db"],
        ["python", "run_search.py", "--replay", "best of/GRCN.yaml", "--data-dir", "my data"],
        ["python", "run_search.py", "--resume", "made", "--trials", "60"],
    ]


@pytest.mark.parametrize(("uri", "first"), [("https://example.org:5000", "https://example.org:5000"), (None, "python")])
def test_a_server_is_its_address_and_no_tracking_is_no_step(uri, first):
    assert next_steps(made_spec(tracking=Tracking(uri=uri)), None)[0].split()[0] == first


def test_tensorboard_is_a_step_where_it_has_records() -> None:
    spec = made_spec(tracking=Tracking(stores=("mlflow", "tensorboard")), output_dir="my searches")
    assert next_steps(spec, None)[1] == "tensorboard --logdir 'my searches/made/tensorboard'"
    steps = next_steps(spec.model_copy(update={"tracking": Tracking(stores=("tensorboard",))}), None)
    assert [step.split()[0] for step in steps] == ["tensorboard", "python"]
