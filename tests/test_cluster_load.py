"""The benchmark of what searches cost beside their training: its arithmetic, its made trials, its records."""

from contextlib import closing
from pathlib import Path
from sqlite3 import connect
from typing import Any

import pytest

from tests.benchmarks import cluster_load, made_trials
from tests.benchmarks.cluster_costs import Costs, Records, Use, loads_table, most_a_day, searches_table, told_apart
from tests.tuning.factories import made_plan
from tuning.execution.ray_tune import tuner
from tuning.records import SearchFolder, TrialFolder
from tuning.spec import Training

COSTS = Costs(report=0.002, trial=0.1, search=3.0)


def test_costs_are_told_apart_from_three_searches() -> None:
    sizes = {"workers": 4, "more_reports": 200, "more_trials": 60}
    found = told_apart(COSTS.of(1, 4, 1), COSTS.of(1, 4, 201), COSTS.of(1, 64, 1), **sizes)
    assert (found.report, found.trial, found.search) == pytest.approx((0.002, 0.1, 3.0))


def test_a_day_of_the_driver_is_worked_out() -> None:
    assert COSTS.of(2, 100, 200) == pytest.approx(2 * (3 + 100 * (0.1 + 0.4)))
    assert most_a_day(COSTS) == pytest.approx(86_400 / (0.03 + 0.1 + 0.4))
    records = Records(epochs=400, seconds=0.8, values=8_000, size=2**20)
    assert most_a_day(COSTS, records) == pytest.approx(86_400 / (0.03 + 0.1 + 0.4 + 0.4))
    *_, overview, day = loads_table(COSTS, COSTS, records).splitlines()
    assert [cell.strip() for cell in overview.strip("|").split("|")] == [
        "40 searches x 100 trials x 200 epochs",
        *("0.8", "0.59", "0.59", "0.44", "16", "2.0"),
    ]
    assert day.split("|")[2].strip() == "2.0"


def test_searches_stand_beside_what_the_costs_foretell() -> None:
    *_, row = searches_table([Use(60.0, 6.0, 2.0, 2**30)], COSTS, trials=10, epochs=50).splitlines()
    assert [cell.strip() for cell in row.strip("|").split("|")] == ["1", "60.0", "6.00", "5.00", "2.00", "1,024"]


def test_a_made_trial_writes_and_reports_what_a_real_one_does(tmp_path: Path) -> None:
    folder, told = TrialFolder(tmp_path), []
    plan = made_plan(params={"model": {made_trials.PAUSE: 0.0}})
    made_trials.run_made_trial(plan, training=Training(max_epochs=3), folder=folder, report=told.append)
    assert [row.epoch for row in told] == [1, 2, 3]
    assert folder.epochs() == told
    assert len(told[0].valid) == 20
    assert told[0].best < told[2].best  # type: ignore[operator]
    result = folder.result()
    assert result is not None
    assert result.status == "finished"


def test_a_worker_runs_made_trials_by_its_own_means(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the driver hands to its trials."""
    seen: dict[str, Any] = {}
    monkeypatch.setattr(tuner, "run_trial", None)
    monkeypatch.setattr(tuner, "_ray_trial", lambda config, **context: seen.update(config, **context))
    made_trials.made_ray_trial({"trial": "0000"}, spec="s", folder="f")
    assert seen == {"trial": "0000", "spec": "s", "folder": "f"}
    assert tuner.run_trial is made_trials.run_made_trial


def test_records_of_made_trials_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def delivered(folder: SearchFolder) -> None:
        with closing(connect(tmp_path / "mlflow.db")) as store, store:
            store.execute("create table if not exists metrics (value real)")
            for row in (row for trial in folder.trials() for row in trial.epochs()):
                store.executemany("insert into metrics values (?)", [(value,) for value in row.valid.values()])

    monkeypatch.setattr(cluster_load, "deliver", delivered)
    found = cluster_load.recorded(tmp_path, trials=2, epochs=300)
    assert (found.epochs, found.values) == (600, 600 * 20)
    assert found.size > 8 * found.values


@pytest.mark.parametrize(
    ("option", "fault"),
    [("--workers=0", "--workers: expected at least 1, but got 0"), ("--pause=-1", "--pause: expected at least 0")],
)
def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str], option: str, fault: str) -> None:
    assert cluster_load.main([option]) == 2
    assert fault in capsys.readouterr().err
