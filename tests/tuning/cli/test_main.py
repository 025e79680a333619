"""The door: every bad input is one line and exit code 2, and leaves nothing behind."""

import json
import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import recmodels.data
import run_search
from recmodels.models import MODELS
from recmodels.training import STRATEGIES
from tests.recmodels.factories import checkerboard
from tests.tuning.factories import end_trial, made_folder, made_spec, made_trial
from tuning.cli import main
from tuning.cli.options import new_comparison, parser, seconds
from tuning.execution.ray_tune import settings as ray_settings
from tuning.execution.ray_tune import tuner as search
from tuning.execution.trial import run_trial
from tuning.records.folder import SearchFolder, TrialFolder
from tuning.search import Outcome
from tuning.spec import SearchSpec, Training
from tuning.yaml_document import parse_yaml, to_yaml

NEW = ("--model", "LightGCN", "--dataset", "demo")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory and no Ray; what `main` sets for its process is taken back."""

    def no_cluster(*_: Any) -> None:
        raise AssertionError("a search starts")

    logger, handler = logging.getLogger("mirrortune"), signal.getsignal(signal.SIGTERM)
    before = list(logger.handlers)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ray_settings, "prepare", lambda address: None)
    monkeypatch.setattr(search, "cluster", no_cluster)
    yield tmp_path
    logger.handlers[:] = before
    signal.signal(signal.SIGTERM, handler)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that bad input gets."""
    before = sorted(Path().rglob("*"))
    assert run_search.main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert sorted(Path().rglob("*")) == before
    assert line.startswith("run_search.py: ")
    return line.removeprefix("run_search.py: ")


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
        (("--model", "VBPR", "--dataset", "x", "--data-dir", "nowhere"), "--data-dir nowhere: no such folder"),
        (
            (*NEW, "--strategy", "mg+sma"),
            "--strategy mg+sma: there is no strategy 'sma'; did you mean '",
        ),
        ((*NEW, "--strategy", "mg+plain_lr"), "--strategy mg+plain_lr: mg+plain_lr: mg and plain_lr are each a whole"),
        ((*NEW, "--compare", "mg,smg"), "--compare smg: there is no strategy 'smg'; did you mean"),
        ((*NEW, "--strategy", "amr+mg"), "--strategy amr+mg: amr moves item features, but LightGCN reads none"),
        ((*NEW, "--seeds", "3"), "--seeds: only with --compare"),
        ((*NEW, "--controls"), "--controls: only with --compare"),
        ((*NEW, "--strategy", "plian"), "--strategy plian: there is no strategy 'plian'; did you mean 'plain'?"),
    ],
)
def test_a_name_that_is_wrong(capsys: Any, arguments: tuple[str, ...], message: str) -> None:
    assert refused(capsys, *arguments).startswith(message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--trials", "0"), "--trials: Input should be greater than or equal to 1, but got '0'"),
        (("--trials", "many"), "--trials: Input should be a valid integer"),
        (("--max-epochs", "1.5"), "--max-epochs: Input should be a valid integer"),
        (("--patience", "-1"), "--patience: Input should be greater than or equal to 0"),
        (("--epoch-budget", "0"), "--epoch-budget: Input should be greater than or equal to 1"),
        (("--time-budget", "5y"), "--time-budget: expected a time like 90s, 15m or 2h, but got '5y'"),
        (("--time-budget", "m"), "--time-budget: expected a time like 90s, 15m or 2h, but got 'm'"),
        (("--time-budget", ""), "--time-budget: expected a time like 90s, 15m or 2h, but got ''"),
        (("--time-budget=-1m",), "--time-budget: Input should be greater than 0, but got -60"),
        (("--reduction", "inf"), "--reduction: Input should be a finite number"),
        (("--grace", "2"), "--grace: Input should be less than or equal to 1"),
        (("--reduction", "1"), "--reduction: Input should be greater than 1"),
        (("--seed", "-1"), "--seed: Input should be greater than or equal to 0"),
        (("--cpus-per-trial", "0"), "--cpus-per-trial: Input should be greater than or equal to 1"),
        (("--gpus-per-trial", "nan"), "--gpus-per-trial: Input should be "),
        (("--max-concurrent", "0"), "--max-concurrent: Input should be greater than or equal to 1"),
        (
            ("--metric", "recal@20"),
            "--metric: Value error, expected one of recall, precision, map, ndcg, hit and a cut",
        ),
        (("--sampler", "gpp"), "--sampler: Input should be 'auto', 'gp'"),
        (("--scheduler", "pbt"), "--scheduler: Input should be 'asha', 'hyperband', 'median' or 'none'"),
        (("--export-format", "json"), "--export-format: Input should be 'mirrortune' or 'mmrec'"),
        (("--name", "../up"), "--name: String should match pattern"),
        (("--experiment", ""), "--experiment: String should have at least 1 character"),
        (("--tune", "bse"), "--tune: there is no 'bse' to search; did you mean 'base'?"),
        (("--tune", "plian"), "--tune: there is no 'plian' to search; did you mean 'plain'?"),
        (("--tune", "mg", "--strategy", "plain"), "--tune mg: expected the strategy that --strategy names, plain"),
        (("--set", "variant=papr"), "--set variant=papr: variant must be one of benchmark, paper, but got 'papr'"),
        (("--strategy", "sam", "--set", "rho=-1", "--dry-run"), "--set rho=-1: rho >= 0 must hold, but got rho=-1"),
        (("--strategy", "swa", "--set", "swa_start=0", "--dry-run"), "--set swa_start=0: swa_start >= 1 must hold"),
        (("--optimizer", "adam, adma"), "--optimizer adam, adma: optimizer must be one of adam, sgd, rmsprop, adagrad"),
        (("--optimizer", "sgd,sgd"), "--optimizer sgd,sgd: optimizer: values must differ from each other"),
    ],
)
def test_a_value_that_is_wrong(capsys: Any, arguments: tuple[str, ...], message: str) -> None:
    assert refused(capsys, *NEW, *arguments).startswith(message)


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
        (("--strategy", "plain", "--set", "alpha=1"), "--set alpha=1: no parameter 'alpha'"),
        (("--sampler", "grid"), "--sampler grid: expected a finite space"),
        (
            ("--baseline", "--set", "reg_weight={type: uniform, low: 1, high: 2}"),
            "--baseline: expected a default for every",
        ),
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
    assert refused(capsys, *NEW, "--name", "s").startswith(message)
    assert refused(capsys, *NEW, "--name", "s").endswith("; --resume s goes on")


def test_an_output_folder_that_is_a_file(capsys: Any) -> None:
    Path("notes.txt").write_text("mine")
    assert "notes.txt" in refused(capsys, *NEW, "--output-dir", "notes.txt")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--resume", "s", "--replay", "f.yaml"), "--resume and --replay: expected one of them, not several"),
        (("--list-models", "--list-datasets"), "--list-models and --list-datasets: expected one of them, not several"),
        (("--resume", "maed"), "--resume maed: no such search in searches; did you mean 'made'?"),
        (("--resume", "made", "--output-dir", "else"), "--resume made: no such search in else"),
        (("--resume", "made", "--trials", "0"), "--trials: Input should be greater than or equal to 1"),
        (("--resume", "torn"), "{here}/searches/torn/spec.yaml:1: not valid YAML"),
        (("--replay", "absent.yaml"), "absent.yaml: No such file or directory, expected an exported configuration"),
        (("--replay", "text.yaml"), "text.yaml: spec: Input should be"),
        (("--replay", "text.yaml", "--trials", "3"), "--trials: has no meaning with --replay"),
    ],
)
def test_a_mode_that_cannot_be(capsys: Any, here: Path, arguments: tuple[str, ...], message: str) -> None:
    made_folder(here)
    (here / "searches" / "torn").mkdir()
    (here / "searches" / "torn" / "spec.yaml").write_text("name: [")
    (here / "text.yaml").write_text("just text")
    assert refused(capsys, *arguments).startswith(message.format(here=here))


def test_a_spec_whose_space_was_changed_by_hand(capsys: Any, here: Path) -> None:
    train = {"optimizer": "adam", "learning_rate": 0.1, "batch_size": 64, "weight_decay": 0.0}
    folder = made_folder(here, space={"strategy": {"alpha": 0.1}, "train": train})
    folder.write_environment({"data": {"fingerprint": recmodels.data.load_dataset("demo").fingerprint}})
    assert refused(capsys, "--resume", "made").startswith("space: 0 <= beta < alpha must hold, but got alpha=0.1")


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


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every data set is a checkerboard."""
    monkeypatch.setattr(recmodels.data, "load_dataset", lambda *_: checkerboard())


@pytest.mark.usefixtures("board")
def test_a_resume_refuses_other_data(capsys: Any, here: Path) -> None:
    made_folder(here)
    line = refused(capsys, "--resume", "made")
    assert line == "demo: not the data this search started with (fingerprint board20, expected f1n9e2)"


@pytest.mark.parametrize(
    ("option", "names"),
    [("models", sorted(MODELS)), ("strategies", sorted(STRATEGIES)), ("datasets", ["demo", "mine"])],
)
def test_lists_names_one_a_line(capsys: Any, here: Path, option: str, names: list[str]) -> None:
    (here / "data" / "mine").mkdir(parents=True)
    (here / "data" / "mine" / "mine.inter").touch()
    assert run_search.main([f"--list-{option}", "--data-dir", "data"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line.startswith("synthetic:")] == names
    assert lines == sorted(lines)


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
    assert run_search.main([*NEW, *arguments, "--dry-run", "--trials", "7", "--tracking-uri", "none"]) == 0
    out, err = capsys.readouterr()
    assert (out.splitlines()[-1], err) == (points, "")
    spec = SearchSpec.model_validate(parse_yaml(out.partition("┏")[0], "text").data)
    assert (spec.model, spec.dataset, spec.budget.trials, spec.tracking.uri) == ("LightGCN", "demo", 7, None)
    assert "batch_size" in out.partition("┏")[2]
    assert list(here.iterdir()) == []


def resolved(capsys: Any, *arguments: str) -> tuple[SearchSpec, set[str]]:
    """The search that the arguments come to, and what it searches."""
    assert run_search.main([*arguments, "--dataset", "demo", "--dry-run"]) == 0
    spec = SearchSpec.model_validate(parse_yaml(capsys.readouterr().out.partition("┏")[0], "text").data)
    return spec, {dimension.name for dimension in spec.space.dimensions}


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
    assert (one.space.fixed["optimizer"], one.space.fixed["momentum"], searched) == ("sgd", 0.9, KNOBS)
    both, searched = resolved(capsys, "--model", "LightGCN", "--optimizer", "sgd,adam")
    assert both.space.to_data()["train"]["optimizer"] == {"type": "categorical", "values": ["sgd", "adam"]}
    assert searched == KNOBS | {"optimizer"}


def test_a_comparison_that_cannot_go_on(capsys: Any, here: Path) -> None:
    arguments = ("--model", "LightGCN", "--dataset", "demo", "--compare", "mg", "--name", "c")
    new_comparison(parser().parse(arguments)).write()
    assert refused(capsys, *arguments).startswith("--name c: it exists in searches; --resume c")
    assert refused(capsys, "--resume", "c", "--trials", "9").startswith("--trials: cannot be changed when a comparison")
    assert refused(capsys, "--resume", "c", "--seeds", "9").startswith("--seeds: cannot be changed when a comparison")
    assert refused(capsys, "--resume", "c", "--max-concurrent", "0").startswith("--max-concurrent: Input should be")


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
    assert main.planned(spec) == 1


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
    assert main.planned(made_spec(space=space, sampler=sampler)) == expected


def test_every_option_reaches_the_spec(capsys: Any) -> None:
    values = {
        "--name": "n",
        "--model": "VBPR",
        "--dataset": "demo",
        "--strategy": "mg",
        "--data-dir": "d",
        "--cache-dir": "c",
        "--sampler": "tpe",
        "--scheduler": "median",
        "--grace": "0.25",
        "--reduction": "3",
        "--trials": "4",
        "--time-budget": "2h",
        "--epoch-budget": "5",
        "--pass-budget": "11",
        "--flatness-every": "12",
        "--max-epochs": "6",
        "--patience": "7",
        "--metric": "ndcg@3",
        "--seed": "8",
        "--cpus-per-trial": "9",
        "--gpus-per-trial": "0.5",
        "--max-concurrent": "10",
        "--ray-address": "auto",
        "--output-dir": "o",
        "--tracking-uri": "sqlite:///x.db",
        "--experiment": "e",
        "--export-dir": "x",
        "--export-format": "mmrec",
    }
    given = [part for pair in values.items() for part in pair]
    assert run_search.main([*given, "--baseline", "--dry-run"]) == 0
    said = parse_yaml(capsys.readouterr().out.partition("┏")[0], "text").data
    said.pop("space")
    assert said == {
        "format": 1,
        "name": "n",
        "model": "VBPR",
        "dataset": "demo",
        "strategy": "mg",
        "data_dir": "d",
        "cache_dir": "c",
        "sampler": "tpe",
        "scheduler": {"name": "median", "grace": 0.25, "reduction": 3.0},
        "budget": {"trials": 4, "seconds": 7200.0, "epochs": 5, "passes": 11},
        "training": {
            "max_epochs": 6,
            "patience": 7,
            "metric": "ndcg@3",
            "ks": [5, 10, 20, 50],
            "seed": 8,
            "flatness_every": 12,
        },
        "resources": {"cpus_per_trial": 9, "gpus_per_trial": 0.5, "max_concurrent": 10, "ray_address": "auto"},
        "tracking": {"uri": "sqlite:///x.db", "experiment": "e"},
        "baseline": True,
        "repeat_seeds": False,
        "output_dir": "o",
        "export_dir": "x",
        "export_format": "mmrec",
    }


@pytest.mark.parametrize(
    ("text", "expected"), [("90", 90), ("90s", 90), ("15m", 900), ("1.5h", 5400), ("1d", 86400), ("1e3", 1000)]
)
def test_a_time_has_a_unit(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("dataset", ["synthetic:clothing", "my set", "größe"])
def test_every_data_set_makes_a_name(capsys: Any, dataset: str) -> None:
    assert run_search.main(["--model", "VBPR", "--dataset", dataset, "--dry-run"]) == 0


@pytest.mark.parametrize(("argument", "code"), [("--help", 0), ("--modle", 2)])
def test_help_and_a_misspelt_option_need_no_heavy_import(argument: str, code: int) -> None:
    script = f"""
import json, sys
import run_search
from tuning.cli import main
heavy = ("torch", "ray", "mlflow", "optuna", "numpy", "pandas")
try:
    code = run_search.main([{argument!r}])
except SystemExit as end:
    code = end.code
print(json.dumps([code, [name for name in heavy if name in sys.modules]]))
"""
    root = Path(run_search.__file__).parent
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [code, []]
    assert ("--epoch-budget" in done.stdout) == (code == 0)


def exported(path: Path, **changes: Any) -> dict[str, Any]:
    """Train the checkerboard for three epochs and write the export that a search would."""
    data, folder = checkerboard(), TrialFolder(path.parent / "trial")
    folder.path.mkdir()
    train = {"optimizer": "adam", "learning_rate": 0.003, "weight_decay": 0.0, "batch_size": 64}
    params = {"strategy": {"alpha": 1.0, "beta": 0.2, "interval": 2}, "train": train, "model": {"embedding_size": 4}}
    plan = {"strategy": "mg", "params": params, "seed": 1, "threads": 1, "device": "cpu"}
    rule = Training(max_epochs=3, metric="ndcg@5", ks=(1, 5))
    run_trial(plan, model="LightGCN", data=data, training=rule, folder=folder, report=lambda row: None)
    rows, result = folder.epochs(), folder.result() or {}
    best = rows[rows[-1]["best_epoch"] - 1]
    content = {
        **{key: plan[key] for key in ("strategy", "seed", "threads", "device")},
        "model": "LightGCN",
        "dataset": "demo",
        "parameters": params,
        "training": {"epochs": 3, "best_epoch": best["epoch"], "metric": "ndcg@5", "ks": [1, 5], "max_epochs": 1000}
        | {"patience": 20},
        "metrics": {"valid": best["valid"], "test": result["test"]},
        "data_fingerprint": data.fingerprint,
        "versions": {},
        "search": {"name": "s", "trials": {}, "sampler": "gp", "scheduler": "asha"},
    } | changes
    path.write_text(to_yaml(content))
    return content


@pytest.mark.usefixtures("board")
def test_a_replay_says_whether_the_metrics_are_the_same(capsys: Any) -> None:
    content = exported(Path("best.yaml"))
    assert run_search.main(["--replay", "best.yaml"]) == 0
    assert "the metrics are the same, digit by digit" in capsys.readouterr().out

    content["metrics"]["test"]["recall@5"] += 1e-12
    Path("best.yaml").write_text(to_yaml(content | {"data_fingerprint": "other"}))
    assert run_search.main(["--replay", "best.yaml"]) == 1
    out = capsys.readouterr().out
    assert "the metrics differ" in out
    assert "warning: demo is not the data of the export" in out
    assert "popularity" not in out  # as in a file of an older search


@pytest.mark.usefixtures("board")
def test_a_replay_shows_popularity_beside_the_metrics(capsys: Any) -> None:
    content = exported(Path("best.yaml"))
    scores = {split: dict.fromkeys(metrics, 0.125) for split, metrics in content["metrics"].items()}
    scores["valid"]["ndcg@5"] = 1.5
    Path("best.yaml").write_text(to_yaml(content | {"popularity": scores}))
    assert run_search.main(["--replay", "best.yaml"]) == 0
    out = capsys.readouterr().out
    assert "│ 0.125000" in out
    assert "│ 1.500000" in out
    (warning,) = [line for line in out.splitlines() if line.startswith("warning")]
    assert "ndcg@5: valid" in warning
    assert warning.endswith("against 1.5")


@pytest.mark.parametrize(
    ("winner", "interrupted", "code"), [(True, False, 0), (True, True, 130), (False, False, 1), (False, True, 130)]
)
def test_the_end_of_a_search(capsys: Any, here: Path, winner: bool, interrupted: bool, code: int) -> None:
    folder = SearchFolder(here / "s")
    made_trial(folder, "0000", epochs=2)
    record = end_trial(folder, "0000", "finished" if winner else "failed", None if winner else "the loss became nan")
    best = (record, Path("best_configs/x.yaml")) if winner else (None, None)
    reference = {"valid": {"recall@20": 0.5}, "test": {"recall@20": 0.25}}
    outcome = Outcome([record], *best, interrupted=interrupted, waiting=0, popularity=reference)
    assert main.show(made_spec(), outcome, Console(width=120)) == code
    out = capsys.readouterr().out
    assert ("go on with: python run_search.py --resume made" in out) == interrupted
    assert ("best configuration: best_configs/x.yaml" in out) == winner
    assert ("no trial has a result; the first failed with: the loss became nan" in out) != winner
    (row,) = [line.split() for line in out.splitlines() if line.startswith("popularity")]
    assert row[-2:] == ["0.5", "0.25"]
    assert ("warning: the items with most training interactions are a better ranking" in out) == winner


def test_an_interruption_is_one_line(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "run", interrupt)
    assert run_search.main([]) == 130
    assert capsys.readouterr().err == "run_search.py: interrupted\n"
