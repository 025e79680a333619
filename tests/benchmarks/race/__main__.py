"""Does a search beat the grid? The full grid of Mirror Gradient's knobs against the samplers, in passes and seconds.

    python -m tests.benchmarks.race --model VBPR --dataset tiktok --data-dir DIR --output FOLDER

Stages, in this order; each needs those before it, and what has been done once costs nothing:

    grid      trains the 28 points of the grid, and the authors', to their ends
    offline   random, QMC, TPE and GP choose among the grid's points, and rules of pruning, on its curves
    race      the same samplers in the strategy's own space, with and without pruning, at a fifth of the grid's passes
    confirm   the winners of --confirm and the grid's, on fresh seeds
    seeds     every point of the grid on fresh seeds: how much of a value is luck. As dear as --seeds grids, so only
              where --stages names it

FOLDER/curves keeps every epoch that was trained, so that what is killed goes on, and what is asked for twice is free.
The result is FOLDER/race.json, race.md and race.svg, written anew after each stage, of the stages that --stages names.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from recmodels.errors import UserError, did_you_mean
from recmodels.models import MODELS
from tests.benchmarks.race.conditions import conditions
from tests.benchmarks.race.report import write
from tests.benchmarks.race.setting import METHODS, Race
from tests.benchmarks.race.stages import STAGES, USUAL, Plan, stages
from tuning.cli.options import with_options
from tuning.space import Fixed, Parameter, Space
from tuning.space.catalogue import search_space
from tuning.space.parameter import read_parameters
from tuning.spec import Scheduler, Training
from tuning.yaml_document import Document, read_yaml

STRATEGY, GRID, AUTHORS = "mg", "full-grid", "authors"
Named = TypeVar("Named")
OF_THE_SPEC = (
    *("model", "dataset", "data_dir", "max_epochs", "patience", "metric", "seed"),
    *("scheduler", "grace", "reduction"),
)
"""The options that a search has too, and that are fields of its spec."""


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 a process was killed, 2 bad input."""
    try:
        race, plan = arguments(argv)
        about = conditions(race, plan.threads, [*sys.argv[1:]] if argv is None else argv)
        for found in stages(race, plan):
            write(race, plan, found, about)
        print((plan.output / "race.md").read_text())
    except UserError as error:
        print(f"race: {error}", file=sys.stderr)
        return 2
    except BrokenProcessPool:
        print("race: a process that trains was killed; the same command goes on from there", file=sys.stderr)
        return 1
    return 0


def race_of(given: argparse.Namespace) -> Race:
    """Make the race from the options. UserError for a bad one."""
    if given.model not in MODELS:
        raise UserError(f"--model: there is no model {given.model!r}{did_you_mean(given.model, MODELS)}")
    base = [*(_base(Path(given.base)) if given.base else ()), *given.set]
    space = search_space(given.model, STRATEGY, given.dataset, overrides=base)
    spec = with_options(
        {"name": "race", "strategy": STRATEGY, "space": _base_fixed(space)},
        {name: getattr(given, name) for name in OF_THE_SPEC},
    )
    grid, authors = (
        search_space(given.model, STRATEGY, given.dataset, overrides=base, points=name)
        for name in (given.points, AUTHORS)
    )
    return Race(spec, grid, authors, given.workers, Path(given.output) / "curves")


def _base(path: Path) -> list[Parameter]:
    """Return the train and model parameters of an exported configuration, or of a space file."""
    document = read_yaml(path, expected="an exported configuration, or a space file")
    data = document.data if isinstance(document.data, dict) else {}
    sections = data.get("parameters", data)
    if not isinstance(sections, dict) or not {"train", "model"} & sections.keys():
        raise UserError(f"--base {path}: expected a section train or model")
    wanted = {section: sections[section] for section in ("train", "model") if section in sections}
    return [replace(each, source=f"--base {path}") for each in read_parameters(Document(str(path), wanted, {}))]


def _base_fixed(space: Space) -> Space:
    """Return the space with the model's and the training's parameters at their defaults."""
    found = []
    for p in space.parameters:
        if p.section != "strategy" and not isinstance(p.distribution, Fixed):
            if (default := p.distribution.default) is None:
                raise UserError(f"{p.source}: {p.name}: expected a value, or a range with a default")
            p = replace(p, distribution=Fixed(default))
        found.append(p)
    return Space(tuple(found))


def arguments(argv: Sequence[str] | None) -> tuple[Race, Plan]:
    """Return the race and the plan that a command line asks for. UserError for a bad option."""
    training, scheduler = Training(), Scheduler()
    parser = argparse.ArgumentParser(
        "python -m tests.benchmarks.race",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--model", required=True)
    add("--dataset", required=True)
    add("--data-dir")
    add("--output", required=True, help="folder of curves and results")
    add("--stages", default=",".join(USUAL), help="names with commas between (%(default)s)")
    add("--base", metavar="FILE", help="train and model parameters: an exported configuration, or a space file")
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="as in a search")
    add("--points", default=GRID, metavar="FILE", help="the grid (%(default)s)")
    add("--share", type=float, default=0.2, help="passes of a search, as a share of the grid's (%(default)s)")
    add("--sampler-seeds", type=int, default=5, metavar="N", help="searches of each method (%(default)s)")
    add("--seeds", type=int, default=5, metavar="N", help="fresh seeds of each winner (%(default)s)")
    add("--methods", default=",".join(map(str, METHODS)), metavar="NAMES", help="that race (%(default)s)")
    add("--confirm", default="gp+pruning", metavar="METHODS", help="of these (%(default)s)")
    add("--workers", type=int, default=2, help="trials at a time, on the clock of passes (%(default)s)")
    add("--jobs", type=int, default=2, help="processes that train (%(default)s)")
    add("--threads", type=int, default=1, help="of each process (%(default)s)")
    add("--max-epochs", type=int, default=training.max_epochs, help="(%(default)s)")
    add("--patience", type=int, default=training.patience, help="(%(default)s)")
    add("--metric", default=training.metric, help="(%(default)s)")
    add("--seed", type=int, default=training.seed, help="of every trial (%(default)s); the fresh ones follow it")
    add("--scheduler", default=scheduler.name, help="of the methods that prune (%(default)s)")
    add("--grace", type=float, default=scheduler.grace, help="(%(default)s)")
    add("--reduction", type=float, default=scheduler.reduction, help="(%(default)s)")
    given = parser.parse_args(argv)
    for name in ("sampler_seeds", "seeds", "workers", "jobs", "threads"):
        if getattr(given, name) < 1:
            raise UserError(f"--{name.replace('_', '-')}: expected at least 1, but got {getattr(given, name)}")
    if not 0 < given.share <= 1:
        raise UserError(f"--share: expected 0 < share <= 1, but got {given.share}")
    wanted = _names(given.stages, {stage: stage for stage in STAGES}, "--stages")
    methods = _names(given.methods, {str(method): method for method in METHODS}, "--methods")
    racing = {str(method): method for method in methods}
    confirm = _names(given.confirm, racing, "--confirm") if "confirm" in wanted else []
    plan = Plan(
        stages=tuple(stage for stage in STAGES if stage in wanted),
        methods=tuple(dict.fromkeys(methods)),
        share=given.share,
        sampler_seeds=given.sampler_seeds,
        seeds=given.seeds,
        confirm=tuple(confirm),
        jobs=given.jobs,
        threads=given.threads,
        output=Path(given.output),
    )
    return race_of(given), plan


def _names(text: str, known: Mapping[str, Named], option: str) -> list[Named]:
    """Return the values of names with commas between. UserError for an unknown one."""
    found = []
    for name in (part.strip() for part in text.split(",")):
        if name not in known:
            raise UserError(f"{option}: there is no {name!r}{did_you_mean(name, known)}")
        found.append(known[name])
    return found


if __name__ == "__main__":
    sys.exit(main())
