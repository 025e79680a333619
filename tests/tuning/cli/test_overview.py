"""An overview from the command line: what is planned, run, added and refused; experiments are not trained here."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import run_search
from recmodels.data.dataset import RecDataset
from recmodels.errors import UserError
from tests.tuning.cli.helpers import BARE, refused
from tests.tuning.factories import earlier_search, made_folder
from tests.tuning.overview.factories import write_figures
from tuning.cli import overview as command
from tuning.execution.ray_tune import cluster
from tuning.experiments import Experiment
from tuning.overview import Overview, PlannedPair

pytestmark = pytest.mark.usefixtures("here", "board")
TWO = ("--model", "LightGCN,BPR", "--dataset", "demo,synthetic:tiktok", "--name", "o", "--tracking-uri", "none")
NAMES = ["o-LightGCN-demo", "o-BPR-demo", "o-LightGCN-synthetic-tiktok", "o-BPR-synthetic-tiktok"]


class Started:
    """Stands in for experiments that run: notes them, and writes what they find."""

    def __init__(self) -> None:
        self.experiments: list[Experiment] = []
        self.sessions = 0
        self.codes: dict[str, int] = {}
        self.errors: dict[str, Exception] = {}

    def __call__(self, experiment: Experiment, argv: Any, console: Any, records: str, data: RecDataset) -> int:
        self.experiments.append(experiment)
        if error := self.errors.get(experiment.name):
            raise error
        experiment.write()
        write_figures(PlannedPair(options={}, experiment=experiment), {"plain": [0.1, 0.2], "mg": [0.2, 0.4]})
        return self.codes.get(experiment.name, 0)

    @property
    def names(self) -> list[str]:
        return [experiment.name for experiment in self.experiments]

    @contextmanager
    def cluster(self, *_: Any) -> Iterator[None]:
        self.sessions += 1
        yield


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    made = Started()
    monkeypatch.setattr(command.experiment, "run", made)
    monkeypatch.setattr(cluster, "cluster", made.cluster)
    monkeypatch.setattr("tuning.overview.runner.fault_of", lambda pair: None)
    return made


def test_each_pair_is_an_experiment_of_its_own_in_one_ray(started: Started, capsys: Any) -> None:
    assert run_search.main([*TWO, "--trials", "3"]) == 0
    assert started.sessions == 1
    assert started.names == NAMES
    first = started.experiments[0]
    assert [spec.name for spec in first.searches] == ["o-LightGCN-demo-plain", "o-LightGCN-demo-mg"]
    assert {spec.budget.trials for each in started.experiments for spec in each.searches} == {3}
    output = capsys.readouterr().out
    assert "table: overview.md, overview.tex, overview.csv, overview.json in searches/o" in output
    assert all(Path("searches/o", f"overview.{kind}").exists() for kind in ("yaml", "md", "tex", "csv", "json"))


@pytest.mark.parametrize(
    ("options", "strategies", "confirmed"),
    [
        (("--compare", "mg,sam", "--controls"), ["plain", "mg", "sam", "plain_lr", "plain_repeat"], True),
        (("--baseline",), ["plain", "mg"], True),
        (("--tune-base", "0", "--confirm-top", "2"), ["plain", "mg"], True),
        (BARE, ["mg"], False),
        (("--strategy", "plain", "--confirm-top", "0"), ["plain"], False),
    ],
)
def test_the_options_of_an_experiment_hold_for_every_pair(
    started: Started, options: tuple[str, ...], strategies: list[str], confirmed: bool
) -> None:
    assert run_search.main([*TWO, *options]) == 0
    for experiment in started.experiments:
        assert [spec.strategy for spec in experiment.searches] == strategies
        assert bool(experiment.confirm.runs) == confirmed


@pytest.mark.parametrize("options", [("--compare", "mg,sam", "--controls"), ("--strategy", "sam", "--tune-base", "2")])
def test_a_model_with_nothing_to_train_is_searched_alone_beside_the_others(
    started: Started, options: tuple[str, ...]
) -> None:
    models = ("--model", "BPR,EASE", "--dataset", "demo", "--name", "o", "--tracking-uri", "none")
    assert run_search.main([*models, *options, "--confirm-top", "1", "--trials", "3"]) == 0
    trained, floor = started.experiments
    assert len(trained.searches) > 1
    assert trained.confirm.runs
    (search,) = floor.searches
    assert (search.strategy, search.budget.trials, floor.confirm.runs) == ("plain", 3, 0)
    assert run_search.main(["--resume", "o", "--model", "ItemKNN", "--dataset", "demo"]) == 0  # added later
    assert [spec.strategy for spec in started.experiments[-1].searches] == ["plain"]


def test_an_interrupted_overview_is_resumed_and_what_ended_is_left_alone(started: Started, capsys: Any) -> None:
    started.codes[NAMES[1]] = 130
    assert run_search.main([*TWO, "--trials", "3"]) == 130
    assert started.names == NAMES[:2]
    assert "interrupted; go on with: python run_search.py --resume o" in capsys.readouterr().out
    started.codes.clear()
    started.experiments.clear()
    assert run_search.main(["--resume", "o"]) == 0
    assert started.names == NAMES[1:]
    started.experiments.clear()
    assert run_search.main(["--resume", "o"]) == 0
    assert (started.names, started.sessions) == ([], 2)


def test_a_pair_or_a_model_is_added_later_with_the_options_of_the_others(started: Started) -> None:
    first = ("--model", "LightGCN,BPR", "--dataset", "demo", "--name", "o", "--tracking-uri", "none")
    assert run_search.main([*first, "--trials", "3", "--compare", "mg"]) == 0
    started.experiments.clear()
    assert run_search.main(["--model", "LightGCN,BPR,VBPR", "--dataset", "demo", "--name", "o"]) == 0
    assert started.names == ["o-VBPR-demo"]
    (added,) = started.experiments
    assert {spec.budget.trials for spec in added.searches} == {3}
    assert added.searches[0].tracking.uri is None
    started.experiments.clear()
    assert run_search.main(["--resume", "o", "--model", "VBPR", "--dataset", "synthetic:tiktok"]) == 0
    assert started.names == ["o-VBPR-synthetic-tiktok"]
    assert len(Overview.in_folder(Path("searches/o")).pairs) == 4


def test_an_added_pair_has_the_share_of_the_others(started: Started) -> None:
    assert run_search.main([*TWO, "--trials", "24", "--share-budget"]) == 0
    assert run_search.main(["--resume", "o", "--model", "VBPR", "--dataset", "demo"]) == 0
    assert {spec.budget.trials for each in started.experiments for spec in each.searches} == {3}


def test_the_same_command_again_runs_nothing(started: Started) -> None:
    for _ in range(2):
        assert run_search.main([*TWO, "--trials", "3"]) == 0
    assert started.names == NAMES


def test_options_that_make_pairs_comparable_are_not_changed(started: Started, capsys: Any) -> None:
    assert run_search.main([*TWO, "--trials", "3"]) == 0
    capsys.readouterr()
    for option, value in (("--trials", "4"), ("--compare", "sam"), ("--seed", "1")):
        line = refused(capsys, "--resume", "o", option, value, "--model", "VBPR", "--dataset", "demo")
        assert line.startswith(
            f"{option}: cannot be changed when an overview goes on, its pairs are to stay comparable"
        )
    assert refused(capsys, "--resume", "o", "--share-budget").startswith("--share-budget: cannot be changed")
    Path("p.yaml").write_text("- {model: BPR, dataset: demo, trials: 9}")
    line = refused(capsys, "--resume", "o", "--pairs", "p.yaml")
    assert line == "p.yaml:1: BPR on demo: --trials: cannot be changed, as the overview has this pair already"
    assert len(started.experiments) == 4


def test_what_may_change_changes_for_every_pair(started: Started) -> None:
    started.errors[NAMES[3]] = UserError("no")
    assert run_search.main([*TWO, "--trials", "3"]) == 1
    started.experiments.clear()
    started.errors.clear()
    assert run_search.main(["--resume", "o", "--max-concurrent", "2"]) == 0
    assert started.names == NAMES[3:]
    started.experiments.clear()
    started.codes[NAMES[2]] = 130
    assert run_search.main(["--resume", "o", "--show-test"]) == 130
    started.codes.clear()
    assert run_search.main(["--resume", "o", "--show-test"]) == 0
    assert started.names == [*NAMES[:3], *NAMES[2:]]
    started.experiments.clear()
    assert run_search.main(["--resume", "o", "--export-anyway"]) == 0
    assert started.names == NAMES
    for spec in (spec for each in started.experiments for spec in each.searches):
        assert (spec.resources.max_concurrent, spec.show_test, spec.export_anyway) == (2, True, True)
    again = Overview.in_folder(Path("searches/o"))
    assert again.options["max_concurrent"] == "2"


def test_a_pair_that_fails_is_in_the_table_and_in_the_exit_code(started: Started, capsys: Any) -> None:
    started.errors[NAMES[1]] = UserError("demo: not the data this search started with")
    assert run_search.main([*TWO, "--trials", "3"]) == 1
    assert started.names == NAMES
    output = capsys.readouterr().out
    assert "[1] BPR on demo: demo: not the data this search started with." in output
    assert "1 of 4 pairs failed; tried again by: python run_search.py --resume o" in output


def test_a_public_data_set_that_is_not_prepared_is_said_at_once_and_fails_its_pairs_alone(
    started: Started, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recmodels.data import load_dataset
    from tuning.cli import datasets

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    Path("data").mkdir()
    options = ("--model", "BPR", "--dataset", "baby,demo", "--name", "o", "--tracking-uri", "none")
    assert run_search.main([*options, "--data-dir", "data"]) == 1
    assert started.names == ["o-BPR-demo"]
    output = capsys.readouterr().out
    assert "baby: not prepared yet; without it the pairs of BPR fail when their turn comes" in output
    assert "[1] BPR on baby: data: no data set 'baby'; make it with: python run_search.py prepare baby" in output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--model", "LightGCNN,BPRR", "--dataset", "demo,synthetic:tiktoc"),
            "--model: there is no model 'LightGCNN'; did you mean 'LightGCN'?; data set 'synthetic:tiktoc' is not "
            "built in (for a folder of your own pass --data-dir); did you mean 'synthetic:tiktok'?; --model: there is "
            "no model 'BPRR'; did you mean 'BPR'?",
        ),
        (
            ("--model", "BPR,VBPR", "--dataset", "demo", "--strategy", "amr"),
            "BPR on demo: --strategy amr: amr moves item features, but BPR reads none",
        ),
        (("--model", "BPR,VBPR", "--dataset", "demo", "--trials", "0"), "--trials: Input should be greater than or"),
        (("--model", "BPR", "--dataset", "demo", "--share-budget"), "--share-budget: is for an overview"),
        (("--model", "BPR", "--dataset", "demo", "--table-metrics", "hit@5"), "--table-metrics: is for an overview"),
        (
            ("--model", "BPR,VBPR", "--dataset", "demo", "--share-budget"),
            "--share-budget: expected a budget to share, ",
        ),
        (
            ("--model", "BPR,VBPR", "--dataset", "demo", "--share-budget", "--trials", "9", "--tune-base", "2"),
            "--tune-base 2: with --share-budget the reference has as much as the others",
        ),
        (
            ("--model", "BPR,VBPR", "--dataset", "demo", "--table-metrics", "hit@7"),
            "--table-metrics hit@7: expected a cut-off that is measured, one of 5, 10, 20, 50",
        ),
        (("--model", "BPR,VBPR", "--dataset", "demo", "--table-metrics", "hits"), "--table-metrics: expected one of"),
        (("--model", "BPR,VBPR", "--dataset", "demo", "--warm-start", "old"), "--warm-start old: "),
        (("--model", "BPR,VBPR", "--dataset", "demo", "--name", "x" * 95), "BPR on demo: --name: String should match"),
        (("--model", "BPR,VBPR", "--dataset", "demo", "--name", "taken"), "--name: expected a name of which no other"),
        (
            ("--model", "BPR,VBPR", "--dataset", "demo", "--name", "made"),
            "--name made: searches/made exists, and it is",
        ),
    ],
)
def test_bad_input_is_refused_before_anything_starts(
    started: Started, capsys: Any, here: Path, options: tuple[str, ...], message: str
) -> None:
    made_folder(here)
    made_folder(here, name="taken-VBPR-demo-mg")
    assert refused(capsys, *options).startswith(message)
    assert started.names == []


def test_names_that_become_one_folder_are_refused(capsys: Any, here: Path) -> None:
    (here / "data" / "synthetic-tiktok").mkdir(parents=True)
    options = ("--model", "BPR", "--dataset", "synthetic:tiktok,synthetic-tiktok", "--data-dir", "data", "--name", "o")
    assert refused(capsys, *options) == (
        "BPR on synthetic:tiktok and BPR on synthetic-tiktok: expected names that differ, but both would be "
        "o-BPR-synthetic-tiktok"
    )


def test_a_dry_run_lists_pairs_budgets_and_trainings(capsys: Any, here: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert run_search.main([*TWO, "--trials", "2", "--tune-base", "1", "--pass-budget", "900", "--dry-run"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    row = "o-LightGCN-demo LightGCN demo plain: 1 trials, 900 passes; mg: 2 trials, 900 passes to run 3 15"
    assert any(line.startswith("o-LightGCN-demo LightGCN demo plain: 1 trial") for line in lines), row
    assert lines[-1] == "overview o: 4 pairs, at most 72 trainings to run"
    assert list(here.iterdir()) == []


def test_a_warm_start_is_looked_up_when_the_pair_begins(started: Started) -> None:
    earlier_search(Path("searches"))
    options = ("--model", "LightGCN,BPR", "--dataset", "demo", "--name", "o", "--tracking-uri", "none")
    assert run_search.main([*options, "--tune-base", "0", "--warm-start", "auto"]) == 0
    light = started.experiments[0]
    assert len(light.searches[1].warm_start.points) == 2
    assert light.searches[1].warm_start.said
    planned = Overview.in_folder(Path("searches/o"))
    assert planned.pairs[0].experiment.searches[1].warm_start.points == ()
    started.experiments.clear()
    assert run_search.main(["--resume", "o", "--show-test"]) == 0
    assert started.experiments[0].searches[1].warm_start == light.searches[1].warm_start


def test_what_a_search_imports_is_imported_before_there_are_data(started: Started, monkeypatch: Any) -> None:
    """Else the frames that Optuna keeps of its first import hold them."""
    real, order = command.load_data, list[str]()
    monkeypatch.setattr(command, "import_module", order.append)
    monkeypatch.setattr(command, "load_data", lambda name, given: order.append(name) or real(name, given))
    assert run_search.main([*TWO]) == 0
    assert order == ["tuning.execution.ray_tune.tuner", "demo", "synthetic:tiktok"]


def test_pairs_of_a_file_have_their_own_budgets(started: Started) -> None:
    Path("p.yaml").write_text("defaults: {dataset: demo, trials: 4}\npairs: [{model: BPR}, {model: VBPR, trials: 2}]")
    assert run_search.main(["--pairs", "p.yaml", "--name", "o", "--tracking-uri", "none"]) == 0
    assert [{spec.budget.trials for spec in each.searches} for each in started.experiments] == [{4}, {2}]
