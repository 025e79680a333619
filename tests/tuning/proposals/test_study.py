"""The study agrees with the ledger: after every proposal, every end, every kill."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from tuning.proposals.queue import LEARNERS
from tuning.proposals.study import SAMPLERS, Study
from tuning.records.folder import SearchFolder
from tuning.records.trials import Status, TrialPlan, TrialRecord
from tuning.space import Space, load_space
from tuning.space.catalogue import known_parameters
from tuning.spec import KnownPoint, WarmStart

MG = load_space("LightGCN", "mg", "demo", known=known_parameters("LightGCN", "mg"))
ALL = load_space("LightGCN", "mg", "demo", tune="all", known=known_parameters("LightGCN", "mg"))
SIX = Space.from_data(
    {
        "strategy": {"alpha": {"type": "uniform", "low": 0.1, "high": 0.5, "step": 0.2}},
        "train": {"optimizer": {"type": "categorical", "values": ["sgd", "adam"], "default": "adam"}},
    }
)
"""2 x 3 points, floats that binary fractions cannot say among them."""
EMPTY = Space.from_data({"model": {"n_layers": 2}})
SEQUENTIAL = sorted(SAMPLERS.keys() - {"grid"})
ENDED = {TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL}


class Killed(BaseException):
    pass


@pytest.fixture
def folder(tmp_path: Path) -> SearchFolder:
    (tmp_path / "s").mkdir()
    return SearchFolder(tmp_path / "s")


def record(name: str, value: float | None = 0.5, status: Status = "finished", point: Any = None) -> TrialRecord:
    return TrialRecord(
        trial=name,
        role="search",
        status=status,
        reason=None,
        params={},
        point=point or {},
        seed=1,
        threads=1,
        device="cpu",
        epochs=1,
        best_epoch=1,
        value=value,
    )


def opened(folder: SearchFolder, space: Space = MG, sampler: str = "random", seed: int = 1) -> Study:
    """The study as a start of the search finds it: reconciled."""
    study = Study(folder, space, sampler, seed)
    study.reconcile(folder.ledger(), folder.unfinished())
    return study


def write_plan(folder: SearchFolder, name: str, point: Any) -> None:
    folder.trial(name).write_plan(
        TrialPlan(
            trial=name, role="search", strategy="mg", params={}, point=point, seed=1, threads=1, device="cpu", time=0.0
        )
    )


def on_disk(folder: SearchFolder) -> list[FrozenTrial]:
    """What another process reads in the journal."""
    storage = JournalStorage(JournalFileBackend(str(folder.journal)))
    return optuna.load_study(study_name=folder.name, storage=storage).trials


def states(folder: SearchFolder) -> list[str]:
    return [trial.state.name for trial in on_disk(folder)]


def propose(study: Study, count: int, first: int = 0) -> list[dict[str, Any]]:
    """`count` trials that end at once, their values rising with alpha."""
    points = []
    for index in range(first, first + count):
        point = study.ask(f"{index:04}", index)
        assert point is not None
        points.append(point)
        study.tell(record(f"{index:04}", value=point.get("alpha", 0.0)))
    return points


@pytest.mark.parametrize("space", [MG, ALL], ids=["strategy", "all"])
@pytest.mark.parametrize("sampler", SEQUENTIAL)
def test_every_sampler_proposes_valid_points_the_default_first(
    folder: SearchFolder, sampler: str, space: Space
) -> None:
    study = opened(folder, space, sampler)
    points = propose(study, 13)  # the first ten are random for a Gaussian process and for TPE
    assert points[0] == space.default_point()
    assert len({tuple(point.values()) for point in points}) == 13
    for point in points:
        knobs = space.resolve(point)["strategy"]
        assert 0.6 <= knobs["alpha"] <= 2.0
        assert 0 < knobs["beta"] < knobs["alpha"]
        assert knobs["interval"] in (1, 3, 5, 7)
        for name, distribution in study.distributions.items():
            assert distribution._contains(distribution.to_internal_repr(point[name]))


@pytest.mark.parametrize("sampler", SEQUENTIAL)
def test_a_seed_fixes_the_proposals_and_another_changes_them(tmp_path: Path, sampler: str) -> None:
    proposals = []
    for number, seed in enumerate((1, 1, 2)):
        (tmp_path / str(number)).mkdir()
        proposals.append(propose(opened(SearchFolder(tmp_path / str(number)), MG, sampler, seed), 12))
    assert proposals[0] == proposals[1]
    assert proposals[0][1:] != proposals[2][1:]


@pytest.mark.parametrize("end", ["finished", "failed"])
@pytest.mark.parametrize("sampler", SEQUENTIAL)
def test_a_reopened_study_does_not_propose_its_first_points_again(
    folder: SearchFolder, sampler: str, end: Status
) -> None:
    points = []
    for start in range(3):
        study = opened(folder, MG, sampler)
        for index in (2 * start, 2 * start + 1):
            points.append(study.ask(f"{index:04}", index) or {})
            study.tell(record(f"{index:04}", points[-1]["alpha"], end))
    assert len({(point["alpha"], point["beta/alpha"]) for point in points}) == 6


def test_a_space_without_dimensions_has_one_point(folder: SearchFolder) -> None:
    study = opened(folder, EMPTY, "grid")
    assert study.ask("0000", 0) == {}
    assert study.ask("0001", 1) is None


@pytest.mark.parametrize(
    ("status", "state", "value"),
    [("finished", "COMPLETE", 0.5), ("pruned", "PRUNED", 0.25), ("failed", "FAIL", None)],
)
def test_an_end_is_told_with_its_value(folder: SearchFolder, status: Status, state: str, value: float | None) -> None:
    study = opened(folder)
    point = study.ask("0000", 0)
    study.report("0000", 1, 0.125)
    study.report("0000", 2, 0.25)
    study.tell(record("0000", 0.5, status))
    (trial,) = on_disk(folder)
    assert (trial.state.name, trial.value, trial.params) == (state, value, point)
    assert trial.intermediate_values == {1: 0.125, 2: 0.25}
    assert trial.user_attrs == {"trial": "0000"}


def test_a_trial_that_the_study_does_not_know_is_passed_over(folder: SearchFolder) -> None:
    study = opened(folder)
    study.report("baseline", 1, 0.5)
    study.tell(record("baseline"))
    study.interrupt("baseline")
    assert states(folder) == []


def end_of_a_trial(folder: SearchFolder, study: Study, name: str, point: Any) -> Iterator[str]:
    folder.append_record(record(name, point=point))
    yield "in the ledger"
    study.tell(record(name))
    yield "told"


def drive(folder: SearchFolder, sampler: str, trials: int) -> Iterator[str]:
    """A start of a search with one trial at a time; stops at every step, where the caller may let it die."""
    study = opened(folder, SIX, sampler)
    yield "reconciled"
    for plan in folder.unfinished():
        yield from end_of_a_trial(folder, study, plan.trial, plan.point)
    for index in range(len(folder.trials()), trials):
        name = f"{index:04}"
        point = study.ask(name, index)
        if point is None:
            return
        yield "asked"
        write_plan(folder, name, point)
        yield "planned"
        yield from end_of_a_trial(folder, study, name, point)


def assert_complete(folder: SearchFolder, trials: int) -> None:
    """Each trial is COMPLETE once, with the point of its ledger line; what was cut off is FAIL."""
    found = on_disk(folder)
    assert {trial.state for trial in found} <= ENDED
    complete = {t.user_attrs["trial"]: t.params for t in found if t.state == TrialState.COMPLETE}
    assert complete == {name: line.point for name, line in folder.ledger().items()}
    assert sorted(complete) == [f"{index:04}" for index in range(trials)]
    assert sum(trial.state == TrialState.COMPLETE for trial in found) == trials


@pytest.mark.parametrize("sampler", ["grid", "tpe"])
@pytest.mark.parametrize("step", ["reconciled", "asked", "planned", "in the ledger", "told"])
def test_a_kill_after_any_step_loses_and_repeats_nothing(folder: SearchFolder, step: str, sampler: str) -> None:
    for deaths in (1, 2, 3):  # each start dies when it has come to the step so many times
        seen = 0
        for reached in drive(folder, sampler, 6):
            seen += reached == step
            if seen == deaths:
                break
    list(drive(folder, sampler, 6))
    assert_complete(folder, 6)
    if sampler == "grid":
        assert [line.point for line in folder.ledger().values()] == list(SIX.grid() or ())


@pytest.mark.parametrize("sampler", ["grid", "tpe"])
@pytest.mark.parametrize("step", ["ask", "set_user_attr"])
def test_a_kill_inside_a_proposal_loses_and_repeats_nothing(
    folder: SearchFolder, monkeypatch: pytest.MonkeyPatch, step: str, sampler: str
) -> None:
    """Between the point that is enqueued, Optuna's trial, and its name."""

    def die(*_: Any) -> None:
        raise Killed

    for steps in (1, 5, 5):
        run = drive(folder, sampler, 6)
        assert [next(run) for _ in range(steps)][-1] == ("reconciled" if steps == 1 else "told")
        with monkeypatch.context() as patch:
            patch.setattr(optuna.Study if step == "ask" else optuna.Trial, step, die)
            with pytest.raises(Killed):
                next(run)
    assert len(folder.ledger()) == 2
    list(drive(folder, sampler, 6))
    assert_complete(folder, 6)


@pytest.mark.parametrize("stepwise", [False, True], ids=["at once", "in two starts"])
def test_the_grid_covers_every_point_once_and_then_ends(folder: SearchFolder, stepwise: bool) -> None:
    if stepwise:
        list(drive(folder, "grid", 4))
    list(drive(folder, "grid", 100))
    assert_complete(folder, 6)
    assert [line.point for line in folder.ledger().values()] == list(SIX.grid() or ())


def test_an_interrupted_trial_is_opened_again_with_its_point(folder: SearchFolder) -> None:
    study = opened(folder)
    points = {}
    for index in range(8):
        points[f"{index:04}"] = study.ask(f"{index:04}", index)
        write_plan(folder, f"{index:04}", points[f"{index:04}"])
    study.report("0003", 1, 0.25)
    for name in points:
        study.interrupt(name)
        study.interrupt(name)  # a trial that ran out of memory, once more at the end of the start
    assert states(folder) == ["FAIL"] * 8

    again = opened(folder)
    assert states(folder) == ["FAIL"] * 8 + ["RUNNING"] * 8
    reopened = on_disk(folder)[8:]
    assert [(trial.user_attrs["trial"], trial.params) for trial in reopened] == list(points.items())
    again.report("0003", 2, 0.5)
    for name in points:
        again.tell(record(name, 0.5, "pruned" if name == "0003" else "finished"))
    assert sorted(states(folder)) == ["COMPLETE"] * 7 + ["FAIL"] * 8 + ["PRUNED"]


def test_trials_that_ran_when_the_driver_was_killed_go_on_as_they_are(folder: SearchFolder) -> None:
    study = opened(folder)
    for index in range(3):
        write_plan(folder, f"{index:04}", study.ask(f"{index:04}", index))
    study.report("0001", 1, 0.25)
    folder.append_record(record("0000", 0.75))
    folder.append_record(record("0001", 0.25, "pruned"))
    again = opened(folder)
    assert states(folder) == ["COMPLETE", "PRUNED", "RUNNING"]
    assert [trial.value for trial in on_disk(folder)] == [0.75, 0.25, None]
    again.tell(record("0002"))
    assert states(folder) == ["COMPLETE", "PRUNED", "COMPLETE"]


def test_the_lock_of_a_killed_driver_holds_nobody_up(folder: SearchFolder) -> None:
    propose(opened(folder), 1)
    for end in ("", ".rename"):
        folder.journal.with_name(f"{folder.journal.name}.lock{end}").write_text("")
    start = time.monotonic()
    propose(opened(folder), 1, first=1)
    assert time.monotonic() - start < 10  # Optuna itself waits for half a minute
    assert states(folder) == ["COMPLETE"] * 2


def test_a_journal_torn_by_a_crash_is_read_and_written_on(folder: SearchFolder) -> None:
    propose(opened(folder), 2)
    with open(folder.journal, "a") as file:
        file.write('{"op_code": 5, "wor')
    propose(opened(folder), 2, first=2)
    assert states(folder) == ["COMPLETE"] * 4


def told(*values: tuple[float, float]) -> WarmStart:
    """Alpha and value of points that an earlier search has measured."""
    return WarmStart(
        points=tuple(
            KnownPoint(point={"alpha": alpha, "beta/alpha": 0.5, "interval": 1}, source=f"old/{number:04}", value=value)
            for number, (alpha, value) in enumerate(values)
        )
    )


def test_what_an_earlier_search_has_measured_is_entered_once_whatever_dies(
    folder: SearchFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    warm, entered = told((0.7, 0.1), (0.8, 0.3), (0.9, 0.2)), optuna.Study.add_trial

    def die(study: optuna.Study, trial: FrozenTrial) -> None:
        if trial.user_attrs["known"] == 2:
            raise Killed
        entered(study, trial)

    with monkeypatch.context() as patch:
        patch.setattr(optuna.Study, "add_trial", die)
        with pytest.raises(Killed):
            Study(folder, MG, "gp", 1, warm)
    for _ in range(2):
        study = Study(folder, MG, "gp", 1, warm)
        study.reconcile(folder.ledger(), folder.unfinished())
    propose(study, 1)
    found = on_disk(folder)
    assert [trial.state.name for trial in found] == ["COMPLETE"] * 4
    assert [(trial.params["alpha"], trial.value) for trial in found[:3]] == [(0.7, 0.1), (0.8, 0.3), (0.9, 0.2)]
    assert [trial.user_attrs.get("source") for trial in found] == ["old/0000", "old/0001", "old/0002", None]
    assert [trial.user_attrs.get("trial") for trial in found] == [None, None, None, "0000"]


def test_a_search_begins_with_the_authors_points_then_with_those_of_earlier_searches(folder: SearchFolder) -> None:
    point = {"alpha": 1.9, "beta/alpha": 0.7, "interval": 7}
    warm = WarmStart(points=(KnownPoint(point=point, source="old/0003"),))
    study = Study(folder, MG, "random", 1, warm)
    first = propose(study, 2)
    study = Study(folder, MG, "random", 1, warm)  # a resume
    study.reconcile({}, [])
    points = first + propose(study, 4, first=2)
    assert [MG.resolve(each)["strategy"]["beta"] for each in points[:3]] == [0.2, 0.1, 0.3]
    assert points[3] == point
    assert point not in points[4:]


@pytest.mark.parametrize("sampler", LEARNERS)
def test_a_sampler_that_was_told_values_proposes_where_they_were_good(tmp_path: Path, sampler: str) -> None:
    def proposals(name: str, warm: WarmStart) -> list[float]:
        (tmp_path / name).mkdir()
        study = Study(SearchFolder(tmp_path / name), MG, sampler, 1, warm)
        points = []
        for index in range(3, 7):  # after the authors' points
            point = study.ask(f"{index:04}", index) or {}
            points.append(point["alpha"])
            study.tell(record(f"{index:04}", value=-((point["alpha"] - 1.8) ** 2)))
        return points

    known = [(0.6 + 0.07 * step, -((0.07 * step - 1.2) ** 2)) for step in range(21)]  # the best alpha is 1.8
    cold, warm = proposals("cold", WarmStart()), proposals("warm", told(*known))
    assert sum(abs(alpha - 1.8) for alpha in warm) < sum(abs(alpha - 1.8) for alpha in cold) / 2


def test_the_samplers_that_learn_are_samplers() -> None:
    assert set(LEARNERS) <= SAMPLERS.keys()
