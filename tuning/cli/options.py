"""The options of a search: one table, from which the parser, the places in the SearchSpec and --resume's rules follow.

A new option is one row in OPTIONS, and one field of the spec if it is a part of the search. Light: no heavy imports.
"""

import argparse
import json
from argparse import SUPPRESS
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError

from recmodels.errors import UserError
from recmodels.metric import NAMES
from tuning.checked_file import first_fault
from tuning.cli.arguments import Given, Parser, refuse
from tuning.spec import SearchSpec

DESCRIPTION = """Search the best configuration for a model and a data set, tune plain training as well, and
confirm the best of both on fresh seeds. Only --model and --dataset are needed."""
EPILOG = """examples:
  python run_search.py --model GRCN --dataset demo
  python run_search.py --model GRCN --dataset clothing --data-dir data --trials 40
  python run_search.py --model VBPR --dataset demo --space paper-grid --set reg_weight=1e-3
  python run_search.py --model GRCN --dataset demo --compare mg,sam --controls --trials 8
  python run_search.py --model GRCN,BM3 --dataset demo,synthetic:tiktok --trials 8
"""

TUNE = """a strategy's name, or strategy: its knobs, the base fixed (default); base: the model's own parameters, trained
plainly; all: both together"""

TUNE_BASE = """trials of a plain search of the base, on whose best configuration the strategy is then searched, and
against which it is measured; --trials by default; 0: the base stays at its defaults"""

WARM_START = """begin with what was found before: the NAME of a search, the FILE of an export, or auto: all in
--output-dir and --export-dir; repeatable"""

POINTS = """try exactly these points: a CSV or YAML file, or a built-in list such as full-grid; the rest is at its
defaults"""


def seconds(text: str) -> float:
    """Return the seconds of 90, 90s, 15m, 2h or 1d."""
    number, unit = (text[:-1], text[-1]) if text[-1:].isalpha() else (text, "s")
    try:
        return float(number) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit]
    except (ValueError, KeyError):
        raise argparse.ArgumentTypeError(f"expected a time like 90s, 15m or 2h, but got {text!r}") from None


def whole(text: str) -> int:
    """Return a whole number of at least 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, but got {text!r}")
    return int(text)


PAIRS = """models and data sets from a YAML file, each pair with options of its own; as several names with commas in
--model or --dataset it makes an overview, an experiment for each pair"""

SHARE_BUDGET = """the budget is for all pairs of an overview together, in equal parts for each pair and each of its
searches"""

OBJECTIVES = """the first is also --metric; the search ends in a front of trials, of which --pick chooses one"""

TABLE_METRICS = """with commas: the metrics in the table of an overview (the metric that decides, and ndcg)"""


@dataclass(frozen=True)
class Option:
    """An option of the command line.

    `metavar`: the name of its value in --help; None for a switch. `place`: the field of the SearchSpec that takes the
    value, such as `budget.trials`; None if no field does. `help`: added to the description of the field, if there is
    one. `read`: makes the value from the text. `repeatable`: may be given several times.
    `resumable`: --resume may change it, because trials before and after stay comparable.
    """

    flag: str
    metavar: str | None = None
    place: str | None = None
    help: str = ""
    read: Callable[[str], Any] | None = None
    repeatable: bool = False
    resumable: bool = False

    @property
    def name(self) -> str:
        return self.flag.removeprefix("--").replace("-", "_")

    def full_help(self) -> str:
        """Return the text in --help: description, choices and default of the field, and `help`."""
        if self.place is None:
            return self.help
        part, _, name = self.place.rpartition(".")
        model: Any = SearchSpec.model_fields[part].annotation if part else SearchSpec
        field = model.model_fields[name]
        text = "; ".join(filter(None, (field.description, self.help)))
        if get_origin(field.annotation) is Literal:
            text += f"; one of {', '.join(get_args(field.annotation))}"
        if self.metavar and not field.is_required() and field.default not in (None, ()):
            default = ", ".join(field.default) if isinstance(field.default, tuple) else field.default
            text += f" ({default})"
        return text.replace("%", "%%")


def read_uri(text: str) -> str | None:
    """Return a tracking URI; None for `none`."""
    return None if text == "none" else text


def read_stores(text: str) -> tuple[str, ...]:
    """Return the names of tracking stores, with commas; () for `none`."""
    return () if text == "none" else read_names(text)


def read_names(text: str) -> tuple[str, ...]:
    """Return names with commas."""
    return tuple(name.strip() for name in text.split(","))


def read_named(text: str) -> Any:
    """Return the resources in a JSON object."""
    try:
        return json.loads(text)
    except ValueError:
        expected = """expected JSON such as '{"accelerator_type:H100": 0.1}'"""
        raise argparse.ArgumentTypeError(f"{expected}, but got {text!r}") from None


OPTIONS: dict[str, tuple[Option, ...]] = {
    "what to search": (
        Option("--model", "NAME", "model", "see --list-models"),
        Option("--dataset", "NAME", "dataset", "see --list-datasets"),
        Option("--pairs", "FILE", help=PAIRS),
        Option("--strategy", "NAME", "strategy", "see --list-strategies"),
        Option("--compare", "NAMES", help="several strategies with commas: the same search for each"),
        Option("--controls", help="with --compare: also plain_lr and plain_repeat"),
        Option("--data-dir", "DIR", "data_dir", resumable=True),
        Option("--download", help="prepare the data set first if its folder is missing"),
        Option("--cache-dir", "DIR", "cache_dir", resumable=True),
        Option("--name", "NAME", "name", "made from the above and the time by default"),
    ),
    "space": (
        Option("--space", "FILE", help="a space file, or a built-in one such as paper-grid"),
        Option("--points", "FILE", help=POINTS),
        Option("--set", "KEY=VALUE", help="fix or re-define one parameter; repeatable", repeatable=True),
        Option("--tune", "WHAT", help=TUNE),
    ),
    "search and budget": (
        Option("--objectives", "NAMES", "objectives", OBJECTIVES, read=read_names),
        Option("--pick", "WHAT", "pick", resumable=True),
        Option("--sampler", "NAME", "sampler"),
        Option("--scheduler", "NAME", "scheduler.name"),
        Option("--grace", "EPOCHS", "scheduler.grace"),
        Option("--reduction", "N", "scheduler.reduction"),
        Option("--trials", "N", "budget.trials", resumable=True),
        Option("--time-budget", "TIME", "budget.seconds", "or as 15m, 2h, 1d", read=seconds, resumable=True),
        Option("--epoch-budget", "N", "budget.epochs", resumable=True),
        Option("--pass-budget", "N", "budget.passes", resumable=True),
        Option("--share-budget", help=SHARE_BUDGET),
        Option("--warm-start", "SOURCE", help=WARM_START, repeatable=True),
    ),
    "reference and confirmation": (
        Option("--tune-base", "N", help=TUNE_BASE, read=whole),
        Option("--baseline", help="compare with plain training at its defaults, as --tune-base 0 does"),
        Option(
            "--confirm-top", "N", help="best configurations that are trained on fresh seeds; 0: none (3)", read=whole
        ),
        Option("--confirm-seeds", "N", help="fresh seeds for each of them (5)", read=whole),
    ),
    "training": (
        Option("--max-epochs", "N", "training.max_epochs"),
        Option("--patience", "N", "training.patience"),
        Option("--eval-every", "N", "training.eval_every"),
        Option("--metric", "NAME@K", "training.metric", f"one of {', '.join(NAMES)}"),
        Option("--seed", "N", "training.seed"),
        Option("--optimizer", "NAME", help="adam, sgd, rmsprop or adagrad; several with commas: searched"),
        Option("--flatness-every", "N", "training.flatness_every"),
    ),
    "resources": (
        Option("--cpus-per-trial", "N", "resources.cpus_per_trial", resumable=True),
        Option("--gpus-per-trial", "X", "resources.gpus_per_trial", resumable=True),
        Option("--max-concurrent", "N", "resources.max_concurrent", resumable=True),
        Option("--ray-address", "ADDRESS", "resources.ray_address", resumable=True),
        Option("--resources", "JSON", "resources.named", read=read_named, resumable=True),
        Option("--storage", "PLACE", "resources.storage", resumable=True),
    ),
    "records and results": (
        Option("--output-dir", "DIR", "output_dir", resumable=True),
        Option("--tracking", "NAMES", "tracking.stores", read=read_stores, resumable=True),
        Option("--tracking-uri", "URI", "tracking.uri", "or MLFLOW_TRACKING_URI", read=read_uri, resumable=True),
        Option("--experiment", "NAME", "tracking.experiment", "or MLFLOW_EXPERIMENT_NAME, MLFLOW_EXPERIMENT_ID"),
        Option("--table-metrics", "NAMES", help=TABLE_METRICS, resumable=True),
        Option("--register", "NAME", "tracking.registered_as", resumable=True),
        Option("--show-test", place="show_test", resumable=True),
        Option("--no-report", place="no_report", help="report.html", resumable=True),
        Option("--export-dir", "DIR", "export_dir", resumable=True),
        Option("--export-format", "NAME", "export_format", resumable=True),
        Option("--export-anyway", place="export_anyway", resumable=True),
    ),
    "instead of a new search": (
        Option("--resume", "NAME", help="go on with a search; with --trials N, extend it", resumable=True),
        Option("--replay", "FILE", help="train an exported configuration again", read=Path),
        Option("--dry-run", help="print the resolved search and stop"),
        Option("--list-models", help="names for --model"),
        Option("--list-datasets", help="names for --dataset"),
        Option("--list-strategies", help="names for --strategy"),
    ),
}
"""Heading in --help -> options below it."""


def parser(command: str = "") -> Parser:
    """Return the parser of the options of a search.

    `command`: `resume` and `replay` take the value of the option of this name without the option, and show in --help
    the options that go with it; the others are read as well, so that a fault can say why they do not.
    """
    own = next((each for each in all_options() if each.name == command), None)
    renamed = {"--seeds": "--confirm-seeds"}
    if own is None:
        made = Parser(command, DESCRIPTION, EPILOG, renamed)
    else:
        made = Parser(command, f"{own.help[0].upper()}{own.help[1:]}.", renamed=renamed)
        made.add_argument(own.name, metavar=own.metavar, type=own.read or str, help=HELP_OF_VALUE[own.name])
    for heading, options in OPTIONS.items():
        group = made.add_argument_group(heading)
        for option in (each for each in options if each is not own):
            value: dict[str, Any] = {"metavar": option.metavar, "type": option.read} if option.metavar else {}
            action = "append" if option.repeatable else "store" if option.metavar else "store_true"
            text = option.full_help() if goes_with(option, command) else SUPPRESS
            group.add_argument(option.flag, action=action, help=text, **value)
    return made


def goes_with(option: Option, command: str) -> bool:
    """Return whether an option may be given with a command."""
    return option.name in WITH_REPLAY if command == "replay" else option.resumable or command != "resume"


HELP_OF_VALUE = {
    "resume": "of the search or the experiment: that of its folder in --output-dir",
    "replay": "an exported configuration, such as best_configs/GRCN-demo-mg.yaml",
}
"""Name of an option that is also a command -> help of its value."""
WITH_REPLAY = ("data_dir", "cache_dir")
"""Options that have a meaning with --replay."""


def all_options() -> Iterator[Option]:
    """Return every option of a search."""
    return chain.from_iterable(OPTIONS.values())


def refuse_changes(given: Given, why: str, *, budget: bool = True) -> None:
    """Raise UserError for an option that a resume must not change. `budget`: whether it may change the budget."""
    for option in all_options():
        if not option.resumable or (not budget and (option.place or "").startswith("budget.")):
            refuse(given, [option.name], f"cannot be changed {why}")


def with_options(base: Mapping[str, Any], given: Given) -> SearchSpec:
    """Return the spec with the content `base` and the given options. UserError for a bad value names its option."""
    content = {key: dict(value) if isinstance(value, dict) else value for key, value in base.items()}
    flags = {each.place: each.flag for each in all_options() if each.place}
    for each in all_options():
        if each.place and each.name in given:
            part, _, name = each.place.rpartition(".")
            (content.setdefault(part, {}) if part else content)[name] = given[each.name]
    try:
        return SearchSpec.model_validate(content)
    except ValidationError as error:
        place, fault = ".".join(map(str, error.errors()[0]["loc"])), first_fault(error)
        raise UserError(f"{flags[place]}: {fault.partition(': ')[2]}" if place in flags else fault) from None
