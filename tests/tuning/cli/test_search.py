"""A search from the command line: what is refused, what is searched, what is said at its end."""

import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import run_search
from recmodels.training import STRATEGIES
from tests.recmodels.factories import checkerboard
from tests.tuning.cli.helpers import BARE, NEW, refused, resolved
from tests.tuning.factories import ENVIRONMENT, end_trial, made_folder, made_spec, made_trial
from tuning.cli import search as cli_search
from tuning.cli.search import show
from tuning.proposals.queue import planned_trials
from tuning.records.environment import DataFacts
from tuning.records.folder import SearchFolder
from tuning.search import Outcome, Search
from tuning.space import Figures, Pair
from tuning.spec import SearchSpec
from tuning.yaml_document import parse_yaml

pytestmark = pytest.mark.usefixtures("here")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--model: missing, expected a name (see --list-models)"),
        (("--model", "VBPR"), "--dataset: missing, expected a name (see --list-datasets)"),
        (("--modle", "VBPR"), "--modle: no such option; did you mean '--model'?"),
        ((*NEW, "--max-epoch=3"), "--max-epoch: no such option; did you mean '--max-epochs'?"),
        (("VBPR",), "VBPR: no such option"),
        (("--model",), "--model: expected one argument"),
        (
            ("--model", "LihgtGCN", "--dataset", "demo"),
            "--model: there is no model 'LihgtGCN'; did you mean 'LightGCN'?",
        ),
        (
            ("--model", "VBPR", "--dataset", "dmeo"),
            "data set 'dmeo' is not built in (for a folder of your own pass --data-dir); did you mean 'demo'?",
        ),
        (
            ("--model", "VBPR", "--dataset", "clothng"),
            "data set 'clothng' is not built in (for a folder of your own pass --data-dir); did you mean 'clothing'?",
        ),
        (("--model", "VBPR", "--dataset", "x", "--data-dir", "nowhere"), "--data-dir nowhere: no such folder"),
        (
            (*NEW, "--strategy", "mg+sma"),
            "--strategy mg+sma: there is no strategy 'sma'; did you mean '",
        ),
        ((*NEW, "--strategy", "mg+plain_lr"), "--strategy mg+plain_lr: mg+plain_lr: mg and plain_lr are each a whole"),
        ((*NEW, "--compare", "mg,smg"), "--compare smg: there is no strategy 'smg'; did you mean"),
        ((*NEW, "--strategy", "amr+mg"), "--strategy amr+mg: amr moves item features, but LightGCN reads none"),
        ((*NEW, "--seeds", "3"), "--seeds: is called --confirm-seeds"),
        ((*NEW, "--controls"), "--controls: only with --compare"),
        ((*NEW, "--strategy", "plian"), "--strategy plian: there is no strategy 'plian'; did you mean 'plain'?"),
    ],
)
def test_a_name_that_is_wrong(capsys: Any, arguments: tuple[str, ...], message: str) -> None:
    assert refused(capsys, *arguments).startswith(message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--set", "alhpa=1.5"), "--set alhpa=1.5: no parameter 'alhpa'; did you mean 'alpha'?"),
        (("--set", "alpha"), "--set alpha: expected NAME=VALUE"),
        (("--set", "alpha=0"), "--set alpha=0 and strategies/mg.yaml:8: 0 <= beta < alpha must hold"),
        (("--set", "beta=3.0"), "strategies/mg.yaml:7 and --set beta=3.0: 0 <= beta < alpha must hold"),
        (("--set", "train.alpha=1"), "--set train.alpha=1: 'alpha' belongs in section 'strategy'"),
        (("--set", "optimizer=adma"), "--set optimizer=adma: optimizer must be one of adam"),
        (("--optimizer", "adma"), "--optimizer adma: optimizer must be one of adam"),
        (("--optimizer", "sgd,adma"), "--optimizer sgd,adma: optimizer must be one of adam"),
        (("--set", "momentum=0.9"), "models/LightGCN.yaml:8 and --set momentum=0.9: momentum is for sgd"),
        (("--set", "compose=tow_step"), "--set compose=tow_step: compose must be one of two_step, combined"),
        (("--pass-budget", "0"), "--pass-budget: Input should be greater than or equal to 1"),
        (("--flatness-every", "0"), "--flatness-every: Input should be greater than or equal to 1"),
        (
            ("--space", "paper-gird"),
            "--space paper-gird: neither a built-in space nor a file; did you mean 'paper-grid'?",
        ),
        (
            ("--strategy", "swa+mg", "--max-epochs", "50"),
            "strategies/swa.yaml:3: swa_start < 50, the most epochs of a trial, must hold, but got swa_start=50: ",
        ),
        (("--compare", "mg,swa", "--max-epochs", "9"), "strategies/swa.yaml:3: swa_start < 9, the most epochs of a"),
        (("--strategy", "plain", "--set", "alpha=1"), "--set alpha=1: no parameter 'alpha'"),
        (("--sampler", "grid"), "--sampler grid: expected a finite space"),
        (("--model", "Popularity", "--export-format", "mmrec"), "export format mmrec: model: Popularity is not one"),
        (("--export-format", "mmrec", "--metric", "hit@5"), "export format mmrec: metric: expected one of recall"),
    ],
)
def test_a_space_that_does_not_do(capsys: Any, arguments: tuple[str, ...], message: str) -> None:
    assert refused(capsys, *NEW, *arguments).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("strategy:\n  alhpa: 1.0\n", "my.yaml:2: mg has no parameter 'alhpa'; did you mean 'alpha'?"),
        ("startegy:\n  alpha: 1.0\n", "my.yaml:1: unknown section 'startegy'; did you mean 'strategy'?"),
        ("strategy:\n  alpha: {type: uniform, low: 1, hihg: 2}\n", "my.yaml:2: alpha: uniform has no key 'hihg'"),
        ("strategy: [alpha\n", "my.yaml:2: not valid YAML"),
    ],
)
def test_a_space_file_that_is_wrong(capsys: Any, text: str, message: str) -> None:
    Path("my.yaml").write_text(text)
    assert refused(capsys, *NEW, "--space", "my.yaml").startswith(message)


def test_a_name_that_is_taken(capsys: Any, here: Path) -> None:
    made_folder(here, name="s")
    message = "--name s: this search exists in "
    assert refused(capsys, *NEW, *BARE, "--name", "s").startswith(message)
    assert refused(capsys, *NEW, *BARE, "--name", "s").endswith("; --resume s goes on")


def test_an_output_folder_that_is_a_file(capsys: Any) -> None:
    Path("notes.txt").write_text("mine")
    assert "notes.txt" in refused(capsys, *NEW, "--output-dir", "notes.txt")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--model", "VBPR"),
        ("--dataset", "x"),
        ("--strategy", "plain"),
        ("--set", "alpha=1"),
        ("--space", "paper-grid"),
        ("--tune", "all"),
        ("--sampler", "tpe"),
        ("--scheduler", "none"),
        ("--grace", "0.1"),
        ("--reduction", "3"),
        ("--max-epochs", "5"),
        ("--patience", "5"),
        ("--eval-every", "5"),
        ("--metric", "ndcg@20"),
        ("--seed", "1"),
        ("--name", "other"),
        ("--experiment", "other"),
    ],
)
def test_a_resume_changes_nothing_that_would_make_its_trials_another_experiment(
    capsys: Any, here: Path, option: str, value: str
) -> None:
    made_folder(here)
    line = refused(capsys, "--resume", "made", option, value)
    assert line == f"{option}: cannot be changed by --resume, start a new search instead"


@pytest.mark.usefixtures("board")
def test_a_resume_refuses_other_data(capsys: Any, here: Path) -> None:
    made_folder(here)
    line = refused(capsys, "--resume", "made")
    assert line == "demo: not the data this search started with (fingerprint board20, expected f1n9e2)"


@pytest.mark.parametrize(
    ("arguments", "points"),
    [
        (("--space", "paper-grid"), "grid points: 3"),
        (("--strategy", "plain"), "grid points: 1"),
        ((), "grid points: not finite, a parameter is continuous"),
        (
            ("--set", "variant={type: categorical, values: [benchmark, paper]}", "--space", "paper-grid"),
            "grid points: 6",
        ),
    ],
)
def test_a_dry_run_prints_the_search_and_leaves_nothing(
    capsys: Any, here: Path, arguments: tuple[str, ...], points: str
) -> None:
    assert run_search.main([*NEW, *BARE, *arguments, "--dry-run", "--trials", "7", "--tracking-uri", "none"]) == 0
    out, err = capsys.readouterr()
    assert points in out.splitlines()
    assert err == ""
    spec = SearchSpec.model_validate(parse_yaml(out.partition("section ")[0], "text").data)
    assert (spec.model, spec.dataset, spec.budget.trials, spec.tracking.uri) == ("LightGCN", "demo", 7, None)
    assert "batch_size" in out.partition("section ")[2]
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("arguments", [(), ("--compare", "mg")])
def test_a_dry_run_says_which_file_or_option_gave_what(capsys: Any, here: Path, arguments: tuple[str, ...]) -> None:
    asked = ("--model", "VBPR", "--dataset", "tiktok", "--optimizer", "sgd", "--set", "batch_size=64", *arguments)
    assert run_search.main([*asked, "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in lines]
    assert ["section", "parameter", "values", "from"] in rows
    places = {
        "reg_weight": "pairs/VBPR-tiktok.yaml:",
        "embedding_size": "models/VBPR.yaml:",
        "learning_rate": "optimizers/sgd.yaml:",
        "alpha": "strategies/mg.yaml:",
    }
    given = {row[1]: row[-1] for row in rows if len(row) > 3 and row[0] in ("strategy", "train", "model")}
    assert [name for name, place in places.items() if not given[name].startswith(place)] == []
    assert ["train", "batch_size", "64", "--set", "batch_size=64"] in rows
    assert ["train", "optimizer", "sgd", "--optimizer", "sgd"] in rows
    origin = "values for this data set: pairs/VBPR-tiktok.yaml, grade B: the best of a grid"
    assert any(line.startswith(origin) for line in lines)


KNOBS, BASE = {"alpha", "beta/alpha", "interval"}, {"n_layers", "reg_weight", "learning_rate"}


@pytest.mark.parametrize(
    ("arguments", "strategy", "names"),
    [
        ((), "mg", KNOBS),
        (("--tune", "strategy"), "mg", KNOBS),
        (("--tune", "mg"), "mg", KNOBS),
        (("--tune", "mg", "--strategy", "mg"), "mg", KNOBS),
        (("--tune", "plain"), "plain", set()),
        (("--tune", "base"), "plain", BASE),
        (("--tune", "base", "--strategy", "mg"), "mg", BASE),
        (("--tune", "all"), "mg", KNOBS | BASE),
        (("--tune", "all", "--strategy", "plain"), "plain", BASE),
    ],
)
def test_tune_says_what_is_searched(capsys: Any, arguments: tuple[str, ...], strategy: str, names: set[str]) -> None:
    spec, searched = resolved(capsys, "--model", "LightGCN", *arguments)
    assert (spec.strategy, searched) == (strategy, names)
    assert spec.name.startswith(f"LightGCN-demo-{strategy}-")


def test_several_optimizers_are_searched(capsys: Any) -> None:
    one, searched = resolved(capsys, "--model", "LightGCN", "--optimizer", "sgd", "--set", "momentum=0.9")
    assert (one.space.to_data()["train"]["optimizer"], one.space.to_data()["train"]["momentum"], searched) == (
        "sgd",
        0.9,
        KNOBS,
    )
    both, searched = resolved(capsys, "--model", "LightGCN", "--optimizer", "sgd,adam")
    assert both.space.to_data()["train"]["optimizer"] == {"type": "categorical", "values": ["sgd", "adam"]}
    assert searched == KNOBS | {"optimizer"}


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_every_strategy_can_be_tuned_by_its_name(capsys: Any, strategy: str) -> None:
    by_name, searched = resolved(capsys, "--model", "VBPR", "--tune", strategy)
    by_option, as_well = resolved(capsys, "--model", "VBPR", "--strategy", strategy)
    assert (by_name.strategy, by_name.space, searched) == (strategy, by_option.space, as_well)
    assert bool(searched) == bool(by_name.space.to_data()["strategy"])


@pytest.mark.parametrize("how", ["--tune", "--strategy"])
@pytest.mark.parametrize("strategy", ["plain", "mg", "ssam_f+mg"])
def test_popularity_has_one_trial_whatever_is_asked_for(capsys: Any, how: str, strategy: str) -> None:
    spec, searched = resolved(capsys, "--model", "Popularity", how, strategy)
    assert searched == set()
    assert spec.strategy == (strategy if how == "--strategy" else "plain")
    assert resolved(capsys, "--model", "Popularity")[0].strategy == "plain"
    assert planned_trials(spec) == 1


@pytest.mark.parametrize(
    ("space", "sampler", "expected"),
    [
        ({"strategy": {"beta": {"type": "categorical", "values": [0.1, 0.2, 0.3]}, "alpha": 1.0}}, "auto", 3),
        ({"strategy": {"beta": {"type": "categorical", "values": [0.1, 0.2, 0.3]}, "alpha": 1.0}}, "tpe", 40),
        ({"strategy": {"alpha": {"type": "uniform", "low": 1, "high": 2}}}, "auto", 40),
        ({}, "tpe", 1),
    ],
)
def test_a_search_has_as_many_trials_as_points(space: dict[str, Any], sampler: str, expected: int) -> None:
    assert planned_trials(made_spec(space=space, sampler=sampler)) == expected


@pytest.mark.parametrize("dataset", ["synthetic:clothing", "my set", "größe"])
def test_every_data_set_makes_a_name(capsys: Any, dataset: str) -> None:
    assert run_search.main(["--model", "VBPR", "--dataset", dataset, "--dry-run"]) == 0


@pytest.mark.parametrize(
    ("winner", "interrupted", "code"), [(True, False, 0), (True, True, 130), (False, False, 1), (False, True, 130)]
)
def test_the_end_of_a_search(capsys: Any, here: Path, winner: bool, interrupted: bool, code: int) -> None:
    folder = SearchFolder(here / "s")
    made_trial(folder, "0000", epochs=2)
    record = end_trial(folder, "0000", "finished" if winner else "failed", None if winner else "the loss became nan")
    best = (record, Path("best_configs/x.yaml")) if winner else (None, None)
    reference = {"valid": {"recall@20": 0.5}, "test": {"recall@20": 0.25}}
    tests = {"0000": {"recall@20": 0.125}} if winner else {}
    outcome = Outcome([record], *best, interrupted=interrupted, waiting=0, popularity=reference, tests=tests)
    assert show(made_spec(), outcome, Console(width=120)) == code
    out = capsys.readouterr().out
    assert ("go on with: python run_search.py --resume made" in out) == interrupted
    assert ("best configuration: best_configs/x.yaml" in out) == winner
    assert ("no trial has a result; the first failed with: the loss became nan" in out) != winner
    (row,) = [line.split() for line in out.splitlines() if line.startswith("popularity")]
    assert row[-2:] == ["0.5", "0.25"]
    assert ("warning: the items with most training interactions are a better ranking" in out) == winner
    assert ("test 0.125 against 0.25" in out) == winner


@pytest.mark.usefixtures("board")
def test_a_finished_search_shows_the_test_metrics_of_its_choice_and_with_show_test_all(capsys: Any, here: Path) -> None:
    """`--show-test` stays with the search."""
    train = {"optimizer": "adam", "learning_rate": 0.001, "batch_size": 64, "weight_decay": 0.0}
    folder = made_folder(here, trials=2, space={"train": train, "strategy": {"beta": 0.25}}, budget={"trials": 2})
    folder.write_environment(replace(ENVIRONMENT, data=DataFacts.of(checkerboard())))

    def shown(*options: str) -> dict[str, str]:
        assert run_search.main(["--resume", "made", *options]) == 0
        out = capsys.readouterr().out
        sealed = "trials that were not chosen are sealed; opened by: python run_search.py --resume made --show-test"
        assert (sealed in out) == ("-" in {line.split()[-1] for line in out.splitlines() if line[:4] == "0000"})
        return {words[0]: words[-1] for line in out.splitlines() if (words := line.split()) and words[0][:3] == "000"}

    assert shown() == {"0001": "-0.07598", "0000": "-"}
    assert not folder.spec().show_test
    assert shown("--show-test") == shown() == {"0001": "-0.07598", "0000": "-0.08598"}
    assert folder.spec().show_test


def test_the_end_of_a_search_has_what_others_published(capsys: Any, here: Path) -> None:
    folder = made_folder(here, trials=1)
    figures = Figures("Paper", "a paper, Table 2", {}, {"recall@20": 0.875})
    spec = made_spec(pair=Pair("pairs/BPR-demo.yaml", "A", "a paper", (figures,)))
    records = list(folder.ledger().values())
    outcome = Outcome(records, records[0], Path("best_configs/x.yaml"), interrupted=False, waiting=0, popularity=None)
    assert show(spec, outcome, Console(width=120)) == 0
    lines = capsys.readouterr().out.splitlines()
    (row,) = [line.split() for line in lines if line.startswith("published (Paper) ")]
    assert row[-2:] == ["-", "0.875"]
    assert "published (Paper): a paper, Table 2; for reference, it takes part in no choice" in lines
    assert any(line.startswith("best configuration") for line in lines)


@pytest.mark.parametrize(("every", "said"), [(1, ""), (4, "; --eval-every 4: no trial came to a validation")])
def test_a_search_that_ends_before_any_validation_says_so(capsys: Any, here: Path, every: int, said: str) -> None:
    spec = made_spec(training={"eval_every": every})
    SearchFolder.of(spec).write_spec(spec)
    outcome = Outcome([], None, None, interrupted=False, waiting=0, popularity=None)
    assert show(spec, outcome, Console(width=120)) == 1
    assert f"no trial has a result{said}\n" in capsys.readouterr().out


@pytest.mark.usefixtures("board")
@pytest.mark.parametrize(("every", "told"), [("5", False), ("6", True), ("7", True)])
def test_validations_so_rare_that_nothing_stops_a_trial_are_told(
    capsys: Any, monkeypatch: pytest.MonkeyPatch, every: str, told: bool
) -> None:
    monkeypatch.setattr(Search, "run", lambda search: Outcome([], None, None, False, 0, None))
    assert run_search.main([*NEW, *BARE, "--max-epochs", "6", "--eval-every", every]) == 1
    line = f"--eval-every {every} validates a trial of at most 6 epochs (--max-epochs) once, at its end: neither"
    assert (line in capsys.readouterr().out.replace("\n", " ")) == told


@pytest.mark.parametrize("winner", [True, False])
def test_trials_that_ran_out_of_memory_are_named_at_the_end(capsys: Any, here: Path, winner: bool) -> None:
    folder = made_folder(here, trials=int(winner))
    for name in ("0003", "0005"):
        made_trial(folder, name, epochs=0)
        folder.trial(name).write_out_of_memory(f"no room for {name}")
    records = list(folder.ledger().values())
    best = (records[0], Path("best_configs/x.yaml")) if winner else (None, None)
    outcome = Outcome(records, *best, interrupted=False, waiting=0, popularity=None)
    assert show(folder.spec(), outcome, Console(width=120)) == (0 if winner else 1)
    out = capsys.readouterr().out
    line = "out of memory, without a result: 0003, 0005; tried again by: python run_search.py --resume made"
    assert line in out
    assert ("no trial has a result; the first failed with: no room for 0003" in out) != winner


@pytest.mark.usefixtures("board")
def test_a_polite_kill_ends_a_search_as_ctrl_c_does(capsys: Any, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(search: Search) -> Outcome:
        search.folder.write_spec(search.spec)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(900)
        raise AssertionError("the signal was not seen")

    monkeypatch.setattr(Search, "run", killed)
    assert run_search.main([*NEW, *BARE, "--name", "s"]) == 130
    assert "interrupted; go on with: python run_search.py --resume s" in capsys.readouterr().out


@pytest.mark.usefixtures("board")
def test_a_copied_search_goes_on_in_its_own_folder(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_folder(here)
    shutil.copytree(here / "searches" / "made", here / "searches" / "copy")
    ran = []
    monkeypatch.setattr(cli_search, "search", lambda spec, *_: ran.append(SearchFolder.of(spec).path) or 0)
    assert run_search.main(["--resume", "copy"]) == 0
    assert ran == [here / "searches" / "copy"]


@pytest.mark.parametrize(("trials", "tried"), [((), 28), (("--trials", "5"), 5), (("--trials", "40"), 28)])
def test_points_of_a_list_are_all_tried_unless_fewer_trials_are_wanted(capsys: Any, trials: Any, tried: int) -> None:
    assert run_search.main([*NEW, "--points", "full-grid", "--dry-run", *trials]) == 0
    assert f"\npoints: 28, of which {tried} are tried, in their order\n" in capsys.readouterr().out


def test_points_of_a_file_with_a_fault_start_nothing(capsys: Any, here: Path) -> None:
    (here / "points.csv").write_text("alpha,beta\n1,0.1\n0.5,0.8\n")
    line = "points.csv:3: 0 <= beta < alpha must hold, but got alpha=0.5, beta=0.8"
    assert refused(capsys, *NEW, "--points", "points.csv") == line
    assert refused(capsys, *NEW, "--points", "point.csv").startswith(
        "--points point.csv: neither a built-in list of poi"
    )
    assert refused(capsys, *NEW, "--points", "authors", "--strategy", "sam").startswith(
        "points/authors.yaml:2: no parameter"
    )
    assert refused(capsys, *NEW, "--points", "authors", "--compare", "mg") == "--points: has no meaning with --compare"


@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.default_int_handler])
def test_a_polite_kill_interrupts_also_where_ctrl_c_is_ignored(handler: Any) -> None:
    def killed() -> None:
        cli_search.interrupt(signal.SIGTERM, None)
        time.sleep(1)  # until the signal has come

    before = signal.signal(signal.SIGINT, handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            killed()
    finally:
        signal.signal(signal.SIGINT, before)
