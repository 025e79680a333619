"""A study of several objectives: which samplers learn from them, and what it is told of each end."""

from pathlib import Path
from typing import get_args

import pytest

from recmodels.errors import UserError
from tests.tuning.factories import made_spec
from tests.tuning.proposals.test_study import MG, on_disk, record, states
from tuning.objectives import objectives_of
from tuning.objectives.objective import ONE_OBJECTIVE
from tuning.proposals import check_known
from tuning.proposals.study import Study
from tuning.records.folder import SearchFolder
from tuning.records.trials import TrialRecord
from tuning.spec import SearchSpec

OBJECTIVES = objectives_of(["recall@20", "robustness", "passes"])
ABLE = sorted(set(get_args(SearchSpec.model_fields["sampler"].annotation)) - {"auto", "grid", *ONE_OBJECTIVE})


def opened(folder: SearchFolder, sampler: str = "random") -> Study:
    study = Study(folder, MG, sampler, seed=1, objectives=OBJECTIVES)
    study.reconcile(folder.ledger(), folder.unfinished())
    return study


def ended(name: str, value: float, measured: dict[str, float]) -> TrialRecord:
    return TrialRecord(**{**record(name, value).__dict__, "measured": measured, "passes": 7})


@pytest.fixture
def folder(tmp_path: Path) -> SearchFolder:
    (tmp_path / "s").mkdir()
    return SearchFolder(tmp_path / "s")


@pytest.mark.parametrize("sampler", ABLE)
def test_every_sampler_that_is_not_refused_learns_from_all_objectives(folder: SearchFolder, sampler: str) -> None:
    study, points = opened(folder, sampler), []
    for index in range(12):  # the first ten are random for a Gaussian process and for TPE
        name = f"{index:04}"
        points.append(study.ask(name, index) or {})
        study.report(name, 1, 0.5)  # the best value of the metric so far, as after each epoch
        study.tell(ended(name, points[-1]["alpha"], {"robustness": -points[-1]["alpha"]}))
    assert points[0] == MG.default_point()
    assert len({tuple(point.values()) for point in points}) == 12
    assert [trial.values for trial in on_disk(folder)] == [[p["alpha"], -p["alpha"], 7.0] for p in points]


def test_a_trial_without_one_of_the_objectives_has_failed_for_the_sampler(folder: SearchFolder) -> None:
    study = opened(folder)
    for index, measured in enumerate(({"robustness": 0.5}, {})):
        study.ask(f"{index:04}", index)
        study.tell(ended(f"{index:04}", 0.5, measured))
    assert states(folder) == ["COMPLETE", "FAIL"]


def test_a_killed_study_is_told_what_the_ledger_has(folder: SearchFolder) -> None:
    opened(folder).ask("0000", 0)
    folder.append_record(ended("0000", 0.5, {"robustness": 0.25}))
    again = opened(folder)
    assert states(folder) == ["COMPLETE"]
    assert on_disk(folder)[0].values == [0.5, 0.25, 7.0]
    assert again.ask("0001", 1) is not None


def test_values_of_one_objective_are_not_told() -> None:
    point = {"alpha": 1.0, "beta/alpha": 0.5, "interval": 3}
    known = {"points": [{"point": point, "source": "old/0003", "value": 0.5}]}
    spec = made_spec(space=MG, objectives=["recall@20", "passes"], scheduler={"name": "none"}, warm_start=known)
    with pytest.raises(UserError, match="expected points without values"):
        check_known(spec)
