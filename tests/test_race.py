"""The benchmark of searches against the grid, on made-up curves with a known winner, and on a real one."""

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import pytest
import torch
from optuna.trial import TrialState

from recmodels.errors import TrainingDiverged, UserError
from tests.benchmarks.race import __main__ as race_main
from tests.benchmarks.race import setting
from tests.benchmarks.race.curves import Configuration, Curves, Tested, Trainer, trainer
from tests.benchmarks.race.luck import choices, noise
from tests.benchmarks.race.proposers import Listed, OnGrid, covering, study
from tests.benchmarks.race.results import best_at_shares, early_and_late, spearman
from tests.benchmarks.race.rules import Rule, halving, replay
from tests.benchmarks.race.setting import Method, Race
from tests.benchmarks.race.simulation import Outcome, Simulation
from tests.benchmarks.race.stages import STAGES
from tests.benchmarks.race.verdicts import not_worse, not_worse_by_method
from tests.recmodels.factories import checkerboard
from tests.tuning.factories import made_plan, made_row, made_spec
from tuning.execution.trial import run_trial
from tuning.records import EpochRow
from tuning.records.folder import SearchFolder
from tuning.space import Choice, Range, Space
from tuning.space.catalogue import search_space
from tuning.spec import Scheduler, SearchSpec

METRIC = "recall@20"
BEST = {"alpha": 1.0, "beta": 0.4, "interval": 5}
TRAIN = {"optimizer": "adam", "learning_rate": 0.01, "batch_size": 64, "weight_decay": 0.0}


def height(what: Configuration) -> float:
    """The value that a configuration ends at; the best of the full grid is BEST."""
    mg = what.params["strategy"]
    away = (mg["alpha"] - 1.0) ** 2 + (mg["beta"] / mg["alpha"] - 0.4) ** 2 + (mg["interval"] - 5) ** 2 / 36
    return 0.1 - 0.02 * away + 1e-4 * (what.seed % 7)


def made_up(what: Configuration) -> Iterator[Tested]:
    """Rises for 10 epochs, half of it in the first 2; never ends. 16 passes an epoch at interval 3."""
    best, best_epoch = -1.0, 0
    for epoch in range(1, 10_000):
        value = height(what) * (1 - 0.5 ** (min(epoch, 10) / 2))
        tested = {}
        if value > best:
            best, best_epoch, tested = value, epoch, {METRIC: value - 0.01}
        row = made_row("0000", epoch, valid={METRIC: value}, best=best, best_epoch=best_epoch)
        passes = round(12 * (1 + 1 / what.params["strategy"]["interval"]))
        yield EpochRow(**{**row.to_json(), "passes": passes, "seconds": 0.5, "valid_seconds": 0.25}), tested


def curves_of(folder: Path, train: Trainer = made_up, strategy: str = "mg") -> Curves:
    return Curves(folder, train, "BPR", "f1n9e2", strategy, METRIC, (20,))


@pytest.fixture
def race(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Race:
    """The full grid of made-up curves."""
    monkeypatch.setattr(setting, "load_curves", lambda *_: curves_of(tmp_path / "curves"))
    grid, authors, space = (search_space("BPR", "mg", "demo", points=name) for name in ("full-grid", "authors", None))
    training = {"max_epochs": 100, "patience": 5, "seed": 999}
    spec = made_spec(space=space, training=training, scheduler={"grace": 0.03, "reduction": 3.0})
    return Race(spec, grid, authors, 2, tmp_path / "curves")


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def knobs(params: Any) -> dict[str, Any]:
    return {name: params["strategy"][name] for name in BEST}


def simulated(tmp_path: Path, train: Trainer = made_up, workers: int = 1, **changes: Any) -> Outcome:
    """The authors' points, tried in their order."""
    space = search_space("BPR", "mg", "demo", points="authors")
    usual = {"scheduler": {"name": "none"}, "budget": {"trials": 99}, "training": {"max_epochs": 1000}}
    spec = SearchSpec.model_validate(dict(made_spec(space=space)) | usual | changes)
    return Simulation(spec, Listed(space.points), curves_of(tmp_path, train), workers).run()


# Curves


@pytest.fixture
def params() -> dict[str, Any]:
    return {"strategy": {"beta": 0.2, "interval": 2}, "train": TRAIN, "model": {"embedding_size": 4}}


def test_curves_that_are_trained_in_turn_are_what_trials_of_a_search_come_to(tmp_path: Path, params: Any) -> None:
    """With a model that draws numbers while it trains."""
    data, ks = checkerboard(), (5, 20)
    curves = Curves(tmp_path / "curves", trainer(data), "SelfCF", data.fingerprint, "mg", METRIC, ks)
    made = {seed: curves.of(params, seed) for seed in (1, 2)}
    for epoch in range(1, 5):
        for curve in made.values():
            curve.row(epoch)
    for seed, curve in made.items():
        folder = SearchFolder(tmp_path).trial(str(seed))
        folder.path.mkdir(parents=True)
        plan = made_plan(params=params, seed=seed)
        training = made_spec(training={"max_epochs": 4, "ks": ks}).training
        run_trial(plan, model="SelfCF", data=data, training=training, folder=folder, report=lambda row: None)
        for ours, theirs in zip(curve.rows, folder.epochs(), strict=True):
            assert (ours.loss, ours.valid, ours.best, ours.best_epoch) == (
                theirs.loss,
                theirs.valid,
                theirs.best,
                theirs.best_epoch,
            )
            assert (ours.passes, ours.steps) == (theirs.passes, theirs.steps)
        result = json.loads((folder.path / "result.json").read_text())
        test = result.get("test") or json.loads((folder.path / "test.json").read_text())
        assert curve.test(curve.rows[-1].best_epoch or 0) == test


def test_a_curve_that_was_kept_goes_on_as_if_it_had_not_been_left(tmp_path: Path, params: Any) -> None:
    trained = []

    def train(what: Configuration) -> Iterator[Tested]:
        for row in made_up(what):
            trained.append(row)
            yield row

    left = curves_of(tmp_path, train).of(params | {"strategy": BEST}, 1)
    left.row(3)
    left.keep()
    again = curves_of(tmp_path, train).of(params | {"strategy": BEST}, 1)
    assert (again.rows, again.test(3)) == (left.rows, left.test(3))
    assert again.row(3) is not None
    assert len(trained) == 3
    assert [row for row in map(again.row, range(1, 6)) if row] == [row for row, _ in list(made_up(again.what))[:5]]
    other = curves_of(tmp_path, train).of(params | {"strategy": {**BEST, "beta": 0.3}}, 1)
    assert other.rows == []


def test_a_curve_that_comes_out_otherwise_is_not_mixed_with_what_was_kept(tmp_path: Path, params: Any) -> None:
    curve = curves_of(tmp_path).of(params | {"strategy": BEST}, 1)
    curve.row(2)
    curve.keep()
    path = tmp_path / f"{curve.what.key}.jsonl"
    path.write_text(path.read_text().replace(f'"{METRIC}": ', f'"{METRIC}": 1'))
    with pytest.raises(UserError, match=f"{path}: epoch 1 had {METRIC} 1.* Delete the file to train anew"):
        curves_of(tmp_path).of(params | {"strategy": BEST}, 1).row(3)


def test_test_metrics_are_in_a_file_of_their_own(tmp_path: Path, params: Any) -> None:
    curve = curves_of(tmp_path).of(params | {"strategy": BEST}, 1)
    curve.row(40)
    curve.keep()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"{curve.what.key}.jsonl",
        f"{curve.what.key}.test.jsonl",
    ]
    assert "test" not in (tmp_path / f"{curve.what.key}.jsonl").read_text()
    assert curve.test(10) == {METRIC: curve.rows[9].valid[METRIC] - 0.01}


# Simulated searches


def test_a_trial_ends_by_patience_or_after_the_most_epochs(tmp_path: Path) -> None:
    assert [each.epochs for each in simulated(tmp_path).records] == [31, 31, 31]
    assert [each.epochs for each in simulated(tmp_path, training={"patience": 3}).records] == [14, 14, 14]
    assert [each.epochs for each in simulated(tmp_path, training={"max_epochs": 7}).records] == [7, 7, 7]


def test_the_cost_is_every_pass_and_second_of_every_trial(tmp_path: Path) -> None:
    outcome = simulated(tmp_path)
    assert (outcome.passes, outcome.seconds) == (3 * 31 * 16, 3 * 31 * 0.75)
    assert outcome.passes == sum(each.passes for each in outcome.records)
    assert outcome.best_after(15) is None
    first = next(made_up(curves_of(tmp_path).of(outcome.records[0].params, 999).what))[0]
    assert outcome.best_after(16) == first.best
    assert outcome.best_after(outcome.passes) == outcome.best == max(each.value or 0 for each in outcome.records)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_budget_of_passes_ends_a_search_at_the_epoch_that_reaches_it(tmp_path: Path, workers: int) -> None:
    outcome = simulated(tmp_path, workers=workers, budget={"trials": 99, "passes": 700})
    assert outcome.passes == 704  # 44 epochs
    ended, stopped = ([each.epochs for each in of] for of in (outcome.records, outcome.stopped))
    assert (ended, stopped) == (([31], [13]) if workers == 1 else ([], [22, 22]))


def test_side_by_side_trials_take_turns_by_their_passes(tmp_path: Path) -> None:
    """At interval 1 an epoch costs twice as much, so that the other trial is further."""
    space = search_space("BPR", "mg", "demo", points="full-grid")
    points = [point for point in space.points if point["alpha"] == 1.0 and point["beta"] == 0.1]
    spec = SearchSpec.model_validate(
        dict(made_spec(space=space)) | {"budget": {"trials": 2, "passes": 700}, "scheduler": {"name": "none"}}
    )
    outcome = Simulation(spec, Listed([points[0], points[-1]]), curves_of(tmp_path), 2).run()
    slow, fast = outcome.stopped
    assert (slow.params["strategy"]["interval"], fast.params["strategy"]["interval"]) == (1, 7)
    assert abs(slow.passes - fast.passes) <= 24
    assert fast.epochs > 1.5 * slow.epochs


def test_a_training_that_diverges_is_a_failed_trial(tmp_path: Path) -> None:
    def diverges(what: Configuration) -> Iterator[Tested]:
        for row, tested in made_up(what):
            if row.epoch == 4 and what.params["strategy"]["beta"] == 0.2:
                raise TrainingDiverged("the loss became inf")
            yield row, tested

    for _ in range(2):  # the second time from the folder
        outcome = simulated(tmp_path, diverges)
        found = [(each.status, each.reason, each.epochs) for each in outcome.records][1]
        assert found == ("failed", "the loss became inf", 3)
        assert outcome.winner == outcome.records[2]
    assert outcome.passes == (2 * 31 + 3) * 16


def test_the_grid_finds_the_known_winner(race: Race) -> None:
    outcome = race.try_points(race.grid, race.grid.points)
    assert outcome.winner is not None
    assert (len(outcome.records), knobs(outcome.winner.params)) == (28, BEST)


def test_pruning_costs_less_and_keeps_the_winner(race: Race) -> None:
    whole = race.try_points(race.grid, race.grid.points)
    pruned = race.try_points(race.grid, race.grid.points, Scheduler(grace=0.03, reduction=3.0))
    assert pruned.passes < 0.7 * whole.passes
    assert pruned.winner is not None
    assert knobs(pruned.winner.params) == BEST
    assert {each.status for each in pruned.records} == {"finished", "pruned"}


@pytest.mark.parametrize("method", [Method("random", True), Method("tpe", False), Method("gp", True)], ids=str)
def test_a_method_on_the_grid_tries_each_point_once(race: Race, method: Method) -> None:
    outcome = race.search_grid(method, 3)
    tried = [tuple(knobs(each.params).values()) for each in outcome.records]
    assert sorted(tried) == sorted(tuple(point.values()) for point in race.grid.points)
    assert outcome.best == race.try_points(race.grid, race.grid.points).best
    assert tried != [tuple(point.values()) for point in race.grid.points]


def test_a_sampler_learns_where_on_the_grid_it_was_put(race: Race) -> None:
    with study(covering(race.spec.space, race.grid), "tpe", 3) as sampler:
        on_grid = OnGrid(sampler, race.grid)
        for index in range(4):
            point = on_grid.ask(f"{index:04}", index)
            assert point in race.grid.points
            running = sampler.study.get_trials(states=(TrialState.RUNNING,))
            expected = {"alpha": point["alpha"], "beta/alpha": point["beta"] / point["alpha"]}
            assert running[-1].params == {**expected, "interval": point["interval"]}
            assert len(running) == index + 1


@pytest.mark.parametrize("method", [Method("tpe", True), Method("random", False)], ids=str)
def test_a_search_is_the_same_again_for_a_seed_and_another_for_another(race: Race, method: Method) -> None:
    one, again, other = (race.search(method, seed, 1500) for seed in (0, 0, 1))
    assert one.to_json() == again.to_json()
    assert one.to_json() != other.to_json()
    assert 1500 <= one.passes < 1500 + 48


def test_samplers_on_a_grid_see_its_values_alone(race: Race) -> None:
    data = {"strategy": {"alpha": 2.0, "beta": {"type": "categorical", "values": [0.5, 1.8]}, "interval": 2}}
    grid = Space.from_data(data | {"points": [{"beta": 0.5}, {"beta": 1.8}]})
    narrow = covering(race.spec.space, grid)
    assert narrow.dimensions == {"beta/alpha": Range(0.25, 0.9, default=0.25)}
    assert narrow.fixed["interval"] == 2
    wide = covering(race.spec.space, race.grid).dimensions
    assert wide == {
        "alpha": Range(0.5, 1.0, default=1.0),
        "beta/alpha": Range(0.1, 0.8, default=0.2),
        "interval": Choice((1, 3, 5, 7), default=3),
    }


# What a race says


def test_values_at_shares_are_means_over_searches(race: Race) -> None:
    outcomes = [race.search(Method("random", False), seed, 1000) for seed in (0, 1)]
    found = best_at_shares(outcomes, 5000, 0.2)
    assert found[2] == fmean(each.best_after(1000) or 0 for each in outcomes)
    assert found[3:] == [None, None]


def rows_of(values: list[float]) -> list[EpochRow]:
    found = []
    for epoch, value in enumerate(values, start=1):
        best = max(values[:epoch])
        valid = {METRIC: value}
        found.append(made_row("0000", epoch, valid=valid, best=best, best_epoch=values.index(best) + 1))
    return found


def test_early_values_of_curves_that_never_cross_say_all_and_of_those_that_do_the_contrary() -> None:
    straight = [rows_of([slope * epoch for epoch in range(1, 30)]) for slope in (1.0, 2.0, 3.0)]
    assert set(early_and_late(straight).values()) == {1.0}
    crossing = [rows_of([1 / slope] * 8 + [slope * epoch for epoch in range(9, 30)]) for slope in (1.0, 2.0, 3.0)]
    assert early_and_late(crossing)[5] == -1.0
    assert early_and_late(crossing)[50] == 1.0
    assert spearman([1, 1, 1], [1, 2, 3]) is None


def test_a_rule_that_ends_trials_early_is_weighed_by_cost_and_loss(race: Race) -> None:
    early, late = (replay(race, Rule("asha", grace, 3.0)) for grace in (2, 12))
    assert early.cost < late.cost <= 1
    assert (early.lost, early.kept) == (0, 1)
    impatient = replay(race, Rule(patience=2))
    assert impatient.cost == pytest.approx(13 / 16)
    assert (impatient.lost, impatient.worst) == (0, 0)
    short = replay(race, Rule(epochs=4))
    assert (short.cost, short.lost) == (pytest.approx(4 / 16), pytest.approx(1 - 0.75 / (1 - 0.5**5)))


def test_halving_trains_ever_fewer_ever_longer() -> None:
    """Nine trials of 10 epochs of 3 passes: 9 to epoch 1, 3 to epoch 3, 1 to its end."""
    curves = [rows_of([slope * epoch for epoch in range(1, 11)]) for slope in range(1, 10)]
    assert halving(curves, Rule("halving", 1, 3.0)) == (3 * (9 + 3 * 2 + 7), 90)
    assert halving(curves, Rule("halving", 10, 3.0)) == (3 * 90, 90)


def test_a_winner_is_not_worse_if_the_interval_says_so() -> None:
    grids, ours = [0.10, 0.11, 0.12, 0.10, 0.12], [0.10, 0.12, 0.12, 0.11, 0.12]
    differences = [0.0, 0.01, 0.0, 0.01, 0.0]
    found = not_worse(ours, grids)
    assert found.difference == pytest.approx(0.004)
    assert found.low == pytest.approx(0.004 - 2.131847 * stdev(differences) / 5**0.5)  # t of 4 degrees, one-sided
    assert found.margin == pytest.approx(0.0011)
    assert found.holds == (found.low > -0.0011)
    assert not_worse([each - 0.002 for each in grids], grids).holds is False
    assert not_worse([each - 0.001 for each in grids], grids).holds is True
    assert not_worse([0.2], [0.1]).holds is None


def test_over_searches_the_wider_interval_counts() -> None:
    """Winners that differ from search to search, each the same on all seeds, and the other way round."""
    grids = [0.1, 0.1, 0.1]
    by_search = not_worse_by_method([[0.1] * 3, [0.12] * 3, [0.14] * 3], grids)
    by_seed = not_worse_by_method([[0.1, 0.12, 0.14]] * 3, grids)
    assert by_search.low == pytest.approx(by_seed.low)
    assert by_search.low == pytest.approx(0.02 - 2.919986 * 0.02 / 3**0.5)


def test_the_noise_of_a_seed_is_told_from_the_spread_of_the_points() -> None:
    points, seeds = np.array([0.0, 1.0, 5.0]), np.array([0.0, 10.0])
    additive = noise(points[:, None] + seeds)
    assert (additive.points, additive.seeds, additive.luck) == (pytest.approx(stdev(points)), pytest.approx(0), 0)
    alike = noise(np.array([[0.0, 2.0], [0.0, 0.0]]))
    assert (alike.points, alike.seeds, alike.luck) == (0, 1, 1)


def test_pooled_epochs_are_not_deceived_by_a_lucky_one() -> None:
    """On each seed one epoch of point 1 is the best of all; on the others its test value is half of point 0's."""
    steady, lucky = rows_of([0.1] * 20), rows_of([0.05] * 10 + [0.12] + [0.05] * 9)
    at = np.array([[0.0], [1.0]])
    tests = np.array([[0.1, 0.05], [0.1, 0.05]])
    found = choices([[steady, lucky], [steady, lucky]], tests, at, METRIC)
    lost = {each.rule: each.lost for each in found}
    assert lost["the best value"] == pytest.approx(0.5)
    assert lost["the mean of 5 epochs around the best"] == 0


ARGUMENTS = ("--model", "BPR", "--dataset", "demo", "--jobs", "1")


def test_a_race_is_written_after_each_stage_and_is_the_same_again(
    tmp_path: Path, race: Race, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.benchmarks.race.stages.all_rules", lambda race: [Rule("asha", 5, 3.0)])
    (tmp_path / "points.csv").write_text("alpha,beta,interval\n1,0.2,3\n1,0.4,5\n0.5,0.1,7\n1,0.8,1\n")
    options = ["--max-epochs", "20", "--patience", "2", "--sampler-seeds", "1", "--seeds", "2"]
    options += [
        "--points",
        str(tmp_path / "points.csv"),
        "--methods",
        "random,random+pruning",
        "--confirm",
        "random+pruning",
        "--output",
        str(tmp_path / "out"),
    ]
    assert race_main.main([*ARGUMENTS, *options, "--stages", ",".join(STAGES)]) == 0
    page, figure = ((tmp_path / "out" / name).read_text() for name in ("race.md", "race.svg"))
    kept = json.loads((tmp_path / "out" / "race.json").read_text())
    assert {name: kept["grid"]["points"][0][name] for name in BEST} == BEST
    assert kept["grid"]["points"][0]["test"] == pytest.approx(kept["grid"]["points"][0]["valid"] - 0.01)
    assert len(kept["searches"]["offline"]) == len(kept["searches"]["race"]) == 2
    assert {each["split"] for each in kept["verdicts"]} == {"test", "valid"}
    assert all(
        f"## {heading}" in page
        for heading in ("The grid", "Best validation", "Rules that end", "Winners", "The grid on 3 seeds")
    )
    assert figure.startswith("<?xml")
    assert "confirm" in capsys.readouterr().err
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "curves").iterdir()}
    assert race_main.main([*ARGUMENTS, *options, "--stages", "race"]) == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "curves").iterdir()} == before
    assert json.loads((tmp_path / "out" / "race.json").read_text())["searches"]["race"] == kept["searches"]["race"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "BRP"), "--model: there is no model 'BRP'; did you mean 'BPR'?"),
        (("--stages", "gird"), "--stages: there is no 'gird'; did you mean 'grid'?"),
        (("--confirm", "gp+prunin"), "--confirm: there is no 'gp+prunin'; did you mean 'gp+pruning'?"),
        (("--methods", "gpp"), "--methods: there is no 'gpp'; did you mean 'gp'?"),
        (("--methods", "random,tpe"), "--confirm: there is no 'gp+pruning'; known: random, tpe"),
        (("--share", "1.5"), "--share: expected 0 < share <= 1, but got 1.5"),
        (("--workers", "0"), "--workers: expected at least 1, but got 0"),
        (("--patience", "-1"), "--patience: Input should be greater than or equal to 0, but got -1"),
        (("--metric", "recal@20"), "--metric: expected one of recall"),
        (("--set", "learning_rate=-1"), "--set learning_rate=-1: learning_rate"),
        (("--points", "none.csv"), "--points none.csv: neither a built-in list of points nor a file"),
        (("--base", "none.yaml"), "none.yaml: No such file or directory, expected an exported configuration"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert race_main.main([*ARGUMENTS, "--output", str(tmp_path / "out"), *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"race: {message}")
    assert not (tmp_path / "out").exists()


def test_the_base_is_that_of_an_exported_configuration(tmp_path: Path) -> None:
    path = tmp_path / "best.yaml"
    path.write_text("parameters:\n  strategy: {alpha: 7}\n  train: {learning_rate: 0.02}\n  model: {reg_weight: 0.5}\n")
    race, _ = race_main.arguments([*ARGUMENTS, "--output", "out", "--base", str(path), "--set", "reg_weight=0.25"])
    for params in race.configurations():
        assert (params["train"]["learning_rate"], params["model"]["reg_weight"]) == (0.02, 0.25)
    assert list(race.spec.space.dimensions) == ["alpha", "beta/alpha", "interval"]
