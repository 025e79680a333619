"""One table of options: the parser, the places in the spec and the rules of --resume follow from it."""

from typing import Any

import pytest
from pydantic import Field

import run_search
from recmodels.errors import UserError
from recmodels.training.optimizers import OPTIMIZERS
from tests.tuning.cli.helpers import BARE, NEW, refused
from tests.tuning.factories import made_spec
from tuning.cli import options
from tuning.cli.options import Option, all_options, parser, refuse_changes, seconds, with_options
from tuning.experiments.experiment import Confirm
from tuning.spec import SearchSpec, Training
from tuning.yaml_document import parse_yaml

pytestmark = pytest.mark.usefixtures("here")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--trials", "0"), "--trials: Input should be greater than or equal to 1, but got '0'"),
        (("--trials", "many"), "--trials: Input should be a valid integer"),
        (("--max-epochs", "1.5"), "--max-epochs: Input should be a valid integer"),
        (("--patience", "-1"), "--patience: Input should be greater than or equal to 0"),
        (("--eval-every", "0"), "--eval-every: Input should be greater than or equal to 1, but got '0'"),
        (("--eval-every", "2.5"), "--eval-every: Input should be a valid integer"),
        (("--epoch-budget", "0"), "--epoch-budget: Input should be greater than or equal to 1"),
        (("--time-budget", "5y"), "--time-budget: expected a time like 90s, 15m or 2h, but got '5y'"),
        (("--time-budget", "m"), "--time-budget: expected a time like 90s, 15m or 2h, but got 'm'"),
        (("--time-budget", ""), "--time-budget: expected a time like 90s, 15m or 2h, but got ''"),
        (("--time-budget=-1m",), "--time-budget: Input should be greater than 0, but got -60"),
        (("--reduction", "inf"), "--reduction: Input should be a finite number"),
        (("--grace", "2.5"), "--grace: expected a share of the most epochs, up to 1, or a whole number of epochs"),
        (("--reduction", "1"), "--reduction: Input should be greater than 1"),
        (("--seed", "-1"), "--seed: Input should be greater than or equal to 0"),
        (("--cpus-per-trial", "0"), "--cpus-per-trial: Input should be greater than or equal to 1"),
        (("--gpus-per-trial", "nan"), "--gpus-per-trial: Input should be "),
        (("--gpus-per-trial", "1.5"), "--gpus-per-trial: expected a share of one GPU, at"),
        (("--max-concurrent", "0"), "--max-concurrent: Input should be greater than or equal to 1"),
        (("--resources", "H100=1"), """--resources: expected JSON such as '{"accelerator_type:H100": 0.1}', but got"""),
        (("--resources", "[1]"), "--resources: Input should be a valid dictionary, but got [1]"),
        (("--resources", '{"CPU": 1}'), "--resources: expected other resources than CPU, which has an option of its"),
        (("--resources", '{"x": 1.5}'), "--resources: expected a share of 1, at least 0.0001, or a whole number of x"),
        (
            ("--metric", "recal@20"),
            "--metric: expected one of recall, precision, map, ndcg, hit and a cut",
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
        "--eval-every": "13",
        "--metric": "ndcg@3",
        "--seed": "8",
        "--cpus-per-trial": "9",
        "--gpus-per-trial": "0.5",
        "--max-concurrent": "10",
        "--ray-address": "auto",
        "--resources": '{"accelerator_type:H100": 0.1}',
        "--storage": "s3://bucket/prefix",
        "--output-dir": "o",
        "--tracking": "mlflow, tensorboard",
        "--tracking-uri": "sqlite:///x.db",
        "--experiment": "e",
        "--register": "songs",
        "--export-dir": "x",
        "--export-format": "mmrec",
    }
    given = [part for pair in values.items() for part in pair]
    assert run_search.main([*given, *BARE, "--show-test", "--dry-run"]) == 0
    said = parse_yaml(capsys.readouterr().out.partition("section ")[0], "text").data
    said.pop("space")
    assert said == {
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
            "eval_every": 13,
            "metric": "ndcg@3",
            "ks": [5, 10, 20, 50],
            "seed": 8,
            "flatness_every": 12,
        },
        "resources": {
            "cpus_per_trial": 9,
            "gpus_per_trial": 0.5,
            "max_concurrent": 10,
            "ray_address": "auto",
            "named": {"accelerator_type:H100": 0.1},
            "storage": "s3://bucket/prefix",
        },
        "tracking": {
            "stores": ["mlflow", "tensorboard"],
            "uri": "sqlite:///x.db",
            "experiment": "e",
            "experiment_id": None,
            "registered_as": "songs",
        },
        "baseline": False,
        "role": "search",
        "confirmed": [],
        "awaits_confirmation": False,
        "show_test": True,
        "warm_start": {"points": [], "said": []},
        "objectives": [],
        "pick": "knee",
        "format": 1,
        "pair": None,
        "output_dir": "o",
        "export_dir": "x",
        "export_format": "mmrec",
    }


@pytest.mark.parametrize(
    ("text", "expected"), [("90", 90), ("90s", 90), ("15m", 900), ("1.5h", 5400), ("1d", 86400), ("1e3", 1000)]
)
def test_a_time_has_a_unit(text: str, expected: float) -> None:
    assert seconds(text) == expected


class WarmTraining(Training):
    warmup: int = Field(3, ge=1)
    """epochs before the rate is full"""


class WarmSpec(SearchSpec):
    training: WarmTraining = WarmTraining()


def test_a_new_option_is_one_row_and_one_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "SearchSpec", WarmSpec)
    monkeypatch.setitem(options.OPTIONS, "training", (Option("--warmup", "N", "training.warmup"),))
    assert "--warmup N            epochs before the rate is full (3)" in parser().format_help()
    base = made_spec().model_dump()
    spec = with_options(base, parser().parse(["--warmup", "5"]))
    assert isinstance(spec, WarmSpec)
    assert spec.training.warmup == 5
    with pytest.raises(UserError, match=r"^--warmup: Input should be greater than or equal to 1, but got '0'$"):
        with_options(base, {"warmup": "0"})
    with pytest.raises(UserError, match=r"^--warmup: cannot be changed by --resume$"):
        refuse_changes({"warmup": "5"}, "by --resume")


def test_every_option_has_help_and_a_place_that_no_other_has() -> None:
    known = list(all_options())
    places = [option.place for option in known if option.place]
    assert len({option.flag for option in known}) == len(known)
    assert len(set(places)) == len(places)
    for option in known:
        assert option.full_help()[0].isalnum()  # not only the choices and the default of its field


def test_help_says_what_is_so() -> None:
    text, optimizers = " ".join(parser().format_help().split()), list(OPTIMIZERS)
    assert "cmaes, random, qmc, grid, nsga2 (auto)" in text
    assert f"{', '.join(optimizers[:-1])} or {optimizers[-1]}; several with commas" in text
    assert f"trained on fresh seeds; 0: none ({Confirm().top})" in text
    assert f"fresh seeds for each of them ({Confirm().seeds})" in text


def test_an_experiment_that_goes_on_keeps_its_budget() -> None:
    refuse_changes({"trials": "9", "resume": "c"}, "now")
    with pytest.raises(UserError, match=r"^--trials: cannot be changed now$"):
        refuse_changes({"trials": "9", "resume": "c"}, "now", budget=False)
