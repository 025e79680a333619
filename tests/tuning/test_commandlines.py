"""The command lines that a search ends with can be pasted into a shell."""

import json
import shlex
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from tests.tuning.factories import made_folder, made_spec
from tuning.commandlines import look_commands, next_steps
from tuning.records.run_ids import RunIds
from tuning.spec import Budget, Tracking


def test_the_next_commands_survive_a_shell():
    spec = made_spec(data_dir="my data", tracking=Tracking(uri="sqlite:///my runs.db"), budget=Budget(trials=30))
    steps = next_steps(spec, Path("best of/GRCN.yaml"))
    assert [shlex.split(step) for step in steps] == [
        ["mlflow", "ui", "--backend-store-uri", "sqlite:///my runs.db"],
        ["python", "run_search.py", "--replay", "best of/GRCN.yaml", "--data-dir", "my data"],
        ["python", "run_search.py", "--resume", "made", "--trials", "60"],
    ]


def test_the_best_trials_are_compared_in_the_page_that_mlflow_has_for_that(tmp_path):
    folder = made_folder(tmp_path, trials=12, uri="sqlite:///mlflow.db")
    runs, records = RunIds(folder, "here"), folder.ledger().values()
    assert len(look_commands(folder.spec(), runs, records)) == 1  # the store has none of them yet
    for number in range(11):
        runs.remember(f"{number:04}", f"id{number}", "7")
    server = made_spec(tracking=Tracking(uri="http://me:secret@example.org:80/"))
    for spec, base in ((folder.spec(), "http://127.0.0.1:5000"), (server, "http://example.org:80")):
        _, opens = look_commands(spec, runs, records)
        *command, address = shlex.split(opens)
        assert command == ["python", "-m", "webbrowser"]
        place, _, query = address.partition("?")
        assert place == f"{base}/#/compare-runs"
        asked = {name: value for name, (value,) in parse_qs(query).items()}
        assert asked.pop("workflowType") == "machine_learning"
        found = {name: json.loads(value) for name, value in asked.items()}
        assert found == {"runs": [f"id{number}" for number in range(10, 0, -1)], "experiments": ["7"]}


@pytest.mark.parametrize(("uri", "first"), [("https://example.org:5000", "https://example.org:5000"), (None, "python")])
def test_a_server_is_its_address_and_no_tracking_is_no_step(uri, first):
    assert next_steps(made_spec(tracking=Tracking(uri=uri)), None)[0].split()[0] == first


def test_tensorboard_is_a_step_where_it_has_records() -> None:
    spec = made_spec(tracking=Tracking(stores=("mlflow", "tensorboard")), output_dir="my searches")
    assert next_steps(spec, None)[1] == "tensorboard --logdir 'my searches/made/tensorboard'"
    steps = next_steps(spec.model_copy(update={"tracking": Tracking(stores=("tensorboard",))}), None)
    assert [step.split()[0] for step in steps] == ["tensorboard", "python"]
