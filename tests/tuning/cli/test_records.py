"""Where records go: options, then MLflow's environment variables, then the defaults; and what is said of it."""

from pathlib import Path
from typing import Any

import pytest

import run_search
from tests.tuning.cli.helpers import BARE, NEW, refused, resolved
from tests.tuning.factories import made_folder, made_spec
from tuning.cli import experiment, search
from tuning.cli.records import from_environment, records_line, resumed_line
from tuning.search import Outcome
from tuning.spec import SearchSpec, Tracking

pytestmark = pytest.mark.usefixtures("here")

URI, NAME, ID = "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"


def tracked(uri: str | None = "sqlite:///mlflow.db", **fields: Any) -> SearchSpec:
    return made_spec(tracking={"uri": uri, **fields})


@pytest.mark.parametrize(
    ("variables", "options", "expected"),
    [
        ({}, (), ("sqlite:///mlflow.db", "mirrortune", None)),
        ({URI: "http://h:5000", NAME: "mine"}, (), ("http://h:5000", "mine", None)),
        ({URI: "http://h:5000"}, ("--tracking-uri", "sqlite:///x.db"), ("sqlite:///x.db", "mirrortune", None)),
        ({URI: "http://me:secret@h:5000"}, (), ("http://h:5000", "mirrortune", None)),
        ({URI: "http://h"}, ("--tracking-uri", "http://me:secret@g"), ("http://me:secret@g", "mirrortune", None)),
        ({URI: "http://h:5000"}, ("--tracking-uri", "none"), (None, "mirrortune", None)),
        ({URI: "none"}, (), (None, "mirrortune", None)),
        ({URI: "", NAME: "", ID: ""}, (), ("sqlite:///mlflow.db", "mirrortune", None)),
        ({NAME: "mine"}, ("--experiment", "other"), ("sqlite:///mlflow.db", "other", None)),
        ({ID: "7"}, (), ("sqlite:///mlflow.db", "mirrortune", "7")),
        ({ID: "7"}, ("--experiment", "other"), ("sqlite:///mlflow.db", "other", None)),
        ({ID: "7", NAME: "mine"}, (), ("sqlite:///mlflow.db", "mine", None)),
    ],
)
def test_mlflows_variables_are_the_defaults_of_the_options(
    capsys: Any, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], options: tuple[str, ...], expected: Any
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    spec, _ = resolved(capsys, "--model", "LightGCN", *options)
    assert spec.tracking == Tracking(uri=expected[0], experiment=expected[1], experiment_id=expected[2])


@pytest.mark.parametrize(
    ("variables", "spec", "line"),
    [
        ({}, tracked(), "records: sqlite:///mlflow.db, experiment mirrortune"),
        ({}, tracked("http://me:secret@h:5000"), "records: http://h:5000, experiment mirrortune"),
        ({URI: "x"}, tracked("http://h"), f"records: http://h, experiment mirrortune (from {URI})"),
        (
            {URI: "x", ID: "7"},
            tracked("http://h", experiment_id="7"),
            f"records: http://h, experiment id 7 (from {URI} and {ID})",
        ),
        ({NAME: "e"}, tracked(experiment="e"), f"records: sqlite:///mlflow.db, experiment e (from {NAME})"),
        ({}, tracked(None), "records: none"),
        ({URI: "none"}, tracked(None), f"records: none (from {URI})"),
        ({}, tracked(stores=["tensorboard"]), "records: TensorBoard in the search's folder"),
        ({}, tracked(stores=[]), "records: none"),
        (
            {URI: "x"},
            tracked("http://h", stores=["mlflow", "tensorboard"]),
            f"records: http://h, experiment mirrortune; TensorBoard in the search's folder (from {URI})",
        ),
    ],
)
def test_the_line_of_a_new_search(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], spec: SearchSpec, line: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert records_line(spec, {}) == line
    assert from_environment({"tracking_uri": None, "experiment": "e"}) == {}


def test_a_search_that_goes_on_keeps_its_place(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "mlflow.db").touch()
    line = "records: sqlite:///mlflow.db, experiment mirrortune"
    assert resumed_line(tracked(), {}) == line
    monkeypatch.setenv(URI, "http://h")
    monkeypatch.setenv(NAME, "mirrortune")
    assert resumed_line(tracked(), {}) == f"{line}; {URI}: without effect on a search that goes on"
    assert resumed_line(tracked(), {"tracking_uri": "sqlite:///mlflow.db"}) == line
    assert resumed_line(tracked("http://h"), {}) == "records: http://h, experiment mirrortune"
    monkeypatch.setenv(URI, "http://me:secret@h")
    assert resumed_line(tracked("http://h"), {}) == "records: http://h, experiment mirrortune"
    assert resumed_line(tracked(None), {}) == f"records: none; {URI}: without effect on a search that goes on"
    (here / "mlflow.db").unlink()
    monkeypatch.delenv(URI)
    assert (
        resumed_line(tracked(), {})
        == f"{line}; there is no mlflow.db, so a new one is made (--tracking-uri names another)"
    )


@pytest.mark.parametrize(
    ("names", "stores", "uri"),
    [
        ("mlflow", ("mlflow",), "http://h"),
        ("tensorboard", ("tensorboard",), "sqlite:///mlflow.db"),  # a variable of MLflow means nothing then
        ("mlflow, tensorboard", ("mlflow", "tensorboard"), "http://h"),
        ("none", (), "sqlite:///mlflow.db"),
    ],
)
def test_stores_are_named(
    capsys: Any, monkeypatch: pytest.MonkeyPatch, names: str, stores: tuple[str, ...], uri: str
) -> None:
    monkeypatch.setenv(URI, "http://h")
    spec, _ = resolved(capsys, "--model", "LightGCN", "--tracking", names)
    assert spec.tracking == Tracking(stores=stores, uri=uri)


def test_a_search_that_goes_on_may_be_recorded_elsewhere(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_folder(here).write_spec(tracked("http://h"))
    ran: list[SearchSpec] = []
    monkeypatch.setattr(search, "search", lambda spec, *_: ran.append(spec) or 0)
    assert run_search.main(["resume", "made", "--tracking", "mlflow,tensorboard"]) == 0
    assert ran[0].tracking == Tracking(stores=("mlflow", "tensorboard"), uri="http://h")


def stopped(*_: Any) -> Outcome:
    return Outcome([], None, None, interrupted=True, waiting=0, popularity=None)


def test_the_line_is_printed_at_every_start(capsys: Any, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "run_search", stopped)
    monkeypatch.setenv(URI, "http://me:secret@h:5000")
    assert run_search.main([*NEW, *BARE, "--name", "s"]) == 130
    assert f"\nrecords: http://h:5000, experiment mirrortune (from {URI})\n" in capsys.readouterr().out
    made_folder(here)
    assert run_search.main(["--resume", "made"]) == 130
    assert capsys.readouterr().out.startswith(f"records: none; {URI}: without effect")
    monkeypatch.setattr(experiment, "run", lambda asked, argv, console, records: print(records) or 0)
    assert run_search.main([*NEW, "--compare", "mg", "--name", "c"]) == 0
    assert capsys.readouterr().out == f"records: http://h:5000, experiment mirrortune (from {URI})\n"


def test_a_new_place_has_other_experiments(capsys: Any, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_folder(here).write_spec(tracked("http://h", experiment_id="7"))
    ran: list[SearchSpec] = []
    monkeypatch.setattr(search, "search", lambda spec, *_: ran.append(spec) or 0)
    assert run_search.main(["--resume", "made"]) == 0
    assert run_search.main(["--resume", "made", "--tracking-uri", "http://other"]) == 0
    assert [spec.tracking.experiment_id for spec in ran] == ["7", None]


@pytest.mark.parametrize(
    ("variables", "options", "message"),
    [
        ({URI: "./mlruns"}, (), f"{URI}: ./mlruns: a folder cannot hold the records"),
        ({}, ("--tracking-uri", "./mlruns"), "--tracking-uri: ./mlruns: a folder cannot hold the records"),
        ({URI: "sqllite:///x"}, (), f"{URI}: sqllite:///x: MLflow has no store of the kind 'sqllite'; did you"),
        ({ID: "7"}, (), f"{ID} 7: there is no such experiment in sqlite:///"),
        ({}, ("--tracking", "mlfow"), "--tracking: there is no store 'mlfow'; did you mean 'mlflow'?"),
        ({}, ("--tracking", "mlflow,"), "--tracking: there is no store ''; known: mlflow, tensorboard"),
        (
            {},
            ("--tracking", "tensorboard", "--tracking-uri", "http://me:secret@h"),
            "--tracking-uri http://h: it is MLflow's, expected mlflow among the names of --tracking",
        ),
    ],
)
def test_what_is_no_place(
    capsys: Any, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], options: tuple[str, ...], message: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert refused(capsys, *NEW, *options).startswith(message)


def test_a_stored_place_that_is_none_is_named_with_its_file(capsys: Any, here: Path) -> None:
    folder = made_folder(here)
    folder.write_spec(tracked("./mlruns"))
    message = f"{folder.path}/spec.yaml: tracking.uri: ./mlruns: a folder cannot hold the records"
    assert refused(capsys, "--resume", "made").startswith(message)
