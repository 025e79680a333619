"""The files of an analysis in a real MLflow, on SQLite."""

from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from tests.tuning.factories import ENVIRONMENT, made_folder
from tuning.analyses.subjects import Origin
from tuning.cli.analyzed import publish
from tuning.pages.content import Heading, Table
from tuning.records.analyses import analyses_of
from tuning.tracking.tracker import Tracker

NUMBERS = Table("numbers", (Heading("export", number=False), Heading("loss", number=True)), (("plain", "0.5"),))


def test_files_of_an_analysis_are_artifacts_of_the_searchs_own_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the parent run, not of a trial's; whole; and the report's note is there as well."""
    from mlflow import MlflowClient

    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    folder = made_folder(tmp_path, trials=1, uri=uri)
    folder.write_environment(replace(ENVIRONMENT))
    tracker = Tracker(folder, folder.spec(), lambda line: None, lambda records, tests: "made")
    tracker.start()
    assert tracker.close(False, timeout=900) == 0

    results = tmp_path / "analyses" / "made"
    results.mkdir(parents=True)
    for end in ("html", "md", "png", "pdf", "json", "csv", "jsonl"):
        (results / f"flatness.{end}").write_text(f"the {end}")
    origin = Origin(("made",), (folder.path,))
    publish("flatness", "None is told apart.", NUMBERS, origin, results, Console(width=200))
    assert "made: its run in MLflow has the files" in capsys.readouterr().out

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("mirrortune")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id])
    (parent,) = (run for run in found if "mlflow.parentRunId" not in run.data.tags)
    (child,) = (run for run in found if run is not parent)
    kept = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert {f"flatness.{end}" for end in ("html", "md", "png", "pdf", "json", "csv")} <= kept
    assert "flatness.jsonl" not in kept
    local = client.download_artifacts(parent.info.run_id, "flatness.json", str(tmp_path))
    assert Path(local).read_text() == "the json"
    assert not any(file.path.startswith("flatness") for file in client.list_artifacts(child.info.run_id))
    (note,) = analyses_of(folder)
    assert note.page == str(results / "flatness.html")
