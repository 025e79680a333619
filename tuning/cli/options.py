"""The command line: its options, and how they become a SearchSpec. Light: heavy imports wait until they are needed."""

import argparse
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from pydantic import ValidationError

from recmodels.errors import UserError, did_you_mean
from tuning.space import SECTIONS_OF_TUNE, Parameter, load_space
from tuning.space.parameter import read_parameter
from tuning.spec import SearchSpec, first_fault

if TYPE_CHECKING:
    from tuning.experiments.comparison import Comparison

EPILOG = """examples:
  python run_search.py --model GRCN --dataset demo
  python run_search.py --model GRCN --dataset clothing --data-dir data --trials 40 --baseline
  python run_search.py --model VBPR --dataset demo --space paper-grid --set reg_weight=1e-3
  python run_search.py --model GRCN --dataset demo --compare mg,sam --controls --trials 8
  python run_search.py --resume GRCN-demo-mg-20260101-120000 --trials 80
  python run_search.py --replay best_configs/GRCN-demo-mg.yaml
  python run_search.py prepare --help     (also: inspect, recommend)
"""

SPEC_OPTIONS = {
    "name": ("name",),
    "model": ("model",),
    "dataset": ("dataset",),
    "strategy": ("strategy",),
    "data_dir": ("data_dir",),
    "cache_dir": ("cache_dir",),
    "sampler": ("sampler",),
    "baseline": ("baseline",),
    "export_dir": ("export_dir",),
    "export_format": ("export_format",),
    "scheduler": ("scheduler", "name"),
    "grace": ("scheduler", "grace"),
    "reduction": ("scheduler", "reduction"),
    "trials": ("budget", "trials"),
    "time_budget": ("budget", "seconds"),
    "epoch_budget": ("budget", "epochs"),
    "pass_budget": ("budget", "passes"),
    "max_epochs": ("training", "max_epochs"),
    "patience": ("training", "patience"),
    "metric": ("training", "metric"),
    "seed": ("training", "seed"),
    "flatness_every": ("training", "flatness_every"),
    "cpus_per_trial": ("resources", "cpus_per_trial"),
    "gpus_per_trial": ("resources", "gpus_per_trial"),
    "max_concurrent": ("resources", "max_concurrent"),
    "ray_address": ("resources", "ray_address"),
    "output_dir": ("output_dir",),
    "tracking_uri": ("tracking", "uri"),
    "experiment": ("tracking", "experiment"),
}
"""Option -> its place in the SearchSpec."""
RESUMABLE = {
    "trials",
    "time_budget",
    "epoch_budget",
    "pass_budget",
    "cpus_per_trial",
    "gpus_per_trial",
    "max_concurrent",
}
RESUMABLE |= {
    "output_dir",
    "ray_address",
    "tracking_uri",
    "data_dir",
    "cache_dir",
    "export_dir",
    "export_format",
    "baseline",
}
"""What a resume may change: nothing that would make its trials another experiment."""


class Parser(argparse.ArgumentParser):
    """argparse whose faults are UserErrors of one line, with the nearest right option."""

    def error(self, message: str) -> NoReturn:
        raise UserError(message.removeprefix("argument "))

    def parse(self, argv: Sequence[str]) -> dict[str, Any]:
        """Only what was given: option -> value."""
        given, unknown = self.parse_known_args(argv)
        for text in unknown:
            option = text.split("=")[0]
            options = [name for action in self._actions for name in action.option_strings if name.startswith("--")]
            raise UserError(f"{option}: no such option{did_you_mean(option, options)}")
        return vars(given)


def seconds(text: str) -> float:
    """90, 90s, 15m, 2h or 1d -> seconds."""
    number, unit = (text[:-1], text[-1]) if text[-1:].isalpha() else (text, "s")
    try:
        return float(number) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit]
    except (ValueError, KeyError):
        raise argparse.ArgumentTypeError(f"expected a time like 90s, 15m or 2h, but got {text!r}") from None


def parser() -> Parser:
    made = Parser(
        prog="run_search.py",
        description="Search Mirror Gradient's alpha, beta and interval (or any training strategy's knobs) for a model "
        "and a data set, with Optuna, ASHA and Ray; compare the runs in MLflow; export the best configuration.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    group = made.add_argument_group("what to search")
    group.add_argument("--model", metavar="NAME", help="model, see --list-models")
    group.add_argument("--dataset", metavar="NAME", help="folder in --data-dir, demo, or synthetic:NAME")
    group.add_argument("--strategy", metavar="NAME", help="training strategy, see --list-strategies (default: mg)")
    group.add_argument("--compare", metavar="NAMES", help="several strategies with commas: the same search for each")
    group.add_argument("--controls", action="store_true", help="with --compare: also plain_lr and plain_repeat")
    group.add_argument("--seeds", metavar="N", help="with --compare: fresh seeds that each winner is trained on (5)")
    group.add_argument("--data-dir", metavar="DIR", help="folder that holds the data set folders (data)")
    group.add_argument("--download", action="store_true", help="prepare the data set first where it is not there")
    group.add_argument("--cache-dir", metavar="DIR", help="where parsed data are kept (default: the user's cache)")
    group.add_argument("--name", metavar="NAME", help="name of the search (default: made from the above and the time)")

    group = made.add_argument_group("space")
    group.add_argument("--space", metavar="FILE", help="a space file, or a built-in one such as paper-grid")
    group.add_argument("--set", metavar="KEY=VALUE", action="append", help="fix or re-define one parameter; repeatable")
    group.add_argument(
        "--tune",
        metavar="WHAT",
        help="a strategy's name, or strategy: its knobs, the base fixed (default); base: the model's own parameters, "
        "trained plainly; all: both together",
    )

    group = made.add_argument_group("search and budget")
    group.add_argument("--sampler", metavar="NAME", help="auto (default), gp, tpe, cmaes, random, qmc, grid, nsga2")
    group.add_argument("--scheduler", metavar="NAME", help="asha (default), hyperband, median, none")
    group.add_argument("--grace", metavar="SHARE", help="share of --max-epochs that no trial is stopped in (0.5)")
    group.add_argument("--reduction", metavar="N", help="one trial in N goes on at a rung (2)")
    group.add_argument("--trials", metavar="N", help="number of trials (40)")
    group.add_argument("--time-budget", metavar="TIME", type=seconds, help="stop after 90s, 15m, 2h from this start")
    group.add_argument("--epoch-budget", metavar="N", help="stop after N epochs in all trials together")
    group.add_argument("--pass-budget", metavar="N", help="stop after N forward-and-backward passes in all trials")
    group.add_argument("--baseline", action="store_true", help="also train the base plainly, to compare")

    group = made.add_argument_group("training")
    group.add_argument("--max-epochs", metavar="N", help="epochs of a trial at most (1000)")
    group.add_argument("--patience", metavar="N", help="epochs without improvement that are tolerated (20)")
    group.add_argument("--metric", metavar="NAME@K", help="validation metric that decides (recall@20)")
    group.add_argument("--seed", metavar="N", help="seed of every trial and of the sampler (999)")

    group.add_argument(
        "--optimizer", metavar="NAME", help="adam, sgd, rmsprop or adagrad; several with commas: searched"
    )
    group.add_argument("--flatness-every", metavar="N", help="measure the flatness of the loss every N epochs (never)")

    group = made.add_argument_group("resources")
    group.add_argument("--cpus-per-trial", metavar="N", help="cores, and threads, of a trial (default: chosen)")
    group.add_argument(
        "--gpus-per-trial", metavar="X", help="GPUs of a trial, such as 0.25 (default: 1 if there is one)"
    )
    group.add_argument("--max-concurrent", metavar="N", help="trials at a time (default: chosen)")
    group.add_argument("--ray-address", metavar="ADDRESS", help="an existing Ray cluster, or auto")

    group = made.add_argument_group("records and results")
    group.add_argument("--output-dir", metavar="DIR", default="searches", help="where searches are kept (searches)")
    group.add_argument("--tracking-uri", metavar="URI", help="MLflow store or server (sqlite:///mlflow.db); none: off")
    group.add_argument("--experiment", metavar="NAME", help="MLflow experiment (mirrortune)")
    group.add_argument("--export-dir", metavar="DIR", help="where the best configuration goes (best_configs)")
    group.add_argument("--export-format", metavar="NAME", help="mirrortune (default), or mmrec to write both")

    group = made.add_argument_group("instead of a new search")
    group.add_argument("--resume", metavar="NAME", help="go on with a search; with --trials N, extend it")
    group.add_argument("--replay", metavar="FILE", type=Path, help="train an exported configuration again")
    group.add_argument("--dry-run", action="store_true", help="print the resolved search and stop")
    group.add_argument("--list-models", action="store_true", help="names for --model")
    group.add_argument("--list-datasets", action="store_true", help="names for --dataset")
    group.add_argument("--list-strategies", action="store_true", help="names for --strategy")
    return made


def new_spec(given: dict[str, Any]) -> SearchSpec:
    """The options and the space files as one checked value."""
    from recmodels.data.corruptions import clean_name
    from recmodels.models import MODELS
    from recmodels.models.popularity import Popularity
    from tuning.space.catalogue import check_fit, check_space, known_parameters, known_strategy

    for needed in ("model", "dataset"):
        if needed not in given:
            raise UserError(f"{option(needed)}: missing, expected a name (see --list-{needed}s)")
    model = given["model"]
    if model not in MODELS:
        raise UserError(f"--model: there is no model {model!r}{did_you_mean(model, MODELS)}")
    named = known_strategy(given["strategy"]) if "strategy" in given else None
    strategy, tune = what_to_tune(given.get("tune", "strategy"), named)
    if MODELS[model] is Popularity:  # nothing is trained: whatever were searched, all trials would be the same
        strategy, tune = named or "plain", "base"
    check_fit(model, strategy)
    space = load_space(
        model,
        strategy,
        clean_name(given["dataset"]),
        tune=tune,
        space=given.get("space"),
        overrides=overrides(given),
        known=known_parameters(model, strategy),
    )
    check_space(space, model, strategy)
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    name = _file_name(f"{model}-{given['dataset']}-{strategy}", 80) + f"-{stamp}"
    return with_options({"name": name, "strategy": strategy, "space": space}, given)


def overrides(given: dict[str, Any]) -> list[str | Parameter]:
    """Return the overrides of --optimizer and of --set, the latter last."""
    names = [name.strip() for name in given.get("optimizer", "").split(",")]
    if names == [""]:
        return given.get("set", [])
    value = names[0] if len(names) == 1 else {"type": "categorical", "values": names}
    source = f"--optimizer {given['optimizer']}"
    return [read_parameter("train", "optimizer", value, source), *given.get("set", [])]


def what_to_tune(tune: str, strategy: str | None) -> tuple[str, str]:
    """--tune and --strategy, where it is given -> the strategy and what is searched. UserError."""
    from recmodels.training import STRATEGIES
    from tuning.space.catalogue import known_strategy

    if tune in SECTIONS_OF_TUNE:
        return strategy or ("plain" if tune == "base" else "mg"), tune
    if "+" not in tune and tune not in STRATEGIES:
        raise UserError(f"--tune: there is no {tune!r} to search{did_you_mean(tune, [*SECTIONS_OF_TUNE, *STRATEGIES])}")
    named = known_strategy(tune, "--tune")
    if strategy not in (None, named):
        raise UserError(f"--tune {tune}: expected the strategy that --strategy names, {strategy}")
    return named, "strategy"


def new_comparison(given: dict[str, Any]) -> "Comparison":
    """--compare and the options of its searches as one checked value."""
    from recmodels.training.strategies import CONTROLS, knobs
    from tuning.experiments.comparison import REFERENCE, Comparison
    from tuning.space.catalogue import known_strategy

    for option_ in ("strategy", "baseline", "export_format"):
        if option_ in given:
            raise UserError(f"{option(option_)}: has no meaning with --compare")
    if given.get("tune", "strategy") not in SECTIONS_OF_TUNE:
        raise UserError(f"--tune {given['tune']}: expected one of {', '.join(SECTIONS_OF_TUNE)} with --compare")
    named = [REFERENCE, *given["compare"].split(","), *(CONTROLS if "controls" in given else ())]
    strategies = list(dict.fromkeys(known_strategy(name.strip(), "--compare") for name in named))
    theirs = {knob for strategy in strategies for knob in knobs(strategy)}
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    name = given.get("name") or _file_name(f"compare-{given.get('model')}-{given.get('dataset')}", 60) + f"-{stamp}"
    searches = []
    for strategy in strategies:
        # A knob is set where there is one.
        fits = [text for text in given.get("set", ()) if _key(text) not in theirs - set(knobs(strategy))]
        part = {"strategy": strategy, "name": _file_name(f"{name}-{strategy}"), "set": fits}
        searches.append(new_spec({**given, **part}))
    try:
        return Comparison(name=_file_name(name), seeds=given.get("seeds", 5), searches=searches)
    except ValidationError as error:
        raise UserError(f"--seeds: {first_fault(error).partition(': ')[2]}") from None


def with_options(base: dict[str, Any], given: dict[str, Any]) -> SearchSpec:
    """`base` as a spec, with the given options at their places; a fault names the option."""
    content = {key: dict(value) if isinstance(value, dict) else value for key, value in base.items()}
    for name in given.keys() & SPEC_OPTIONS.keys():
        value = None if name == "tracking_uri" and given[name] == "none" else given[name]
        *outer, last = SPEC_OPTIONS[name]
        part = content.setdefault(outer[0], {}) if outer else content
        part[last] = value
    try:
        return SearchSpec.model_validate(content)
    except ValidationError as error:
        place, fault = error.errors()[0]["loc"], first_fault(error)
        culprit = [option(name) for name, path in SPEC_OPTIONS.items() if path == place]
        raise UserError(": ".join([*culprit, fault.partition(": ")[2]]) if culprit else fault) from None


def _file_name(text: str, length: int | None = None) -> str:
    """The text without what a file name should not have, cut to `length` characters: names of searches have a limit."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text)[:length]


def _key(override: str) -> str:
    return override.partition("=")[0].strip().rpartition(".")[2]


def option(name: str) -> str:
    return "--" + name.replace("_", "-")
