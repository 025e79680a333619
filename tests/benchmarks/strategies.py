"""Seconds of a training epoch under each strategy, beside what its passes should cost, as a Markdown table.

    python -m tests.benchmarks.strategies --model GRCN --dataset tiktok --data-dir DIR

One process and one model, as in the benchmark of epochs: the strategies take epochs in turn, on the same weights and
optimiser. Figures are medians after one epoch of each to warm up. The bound is the number of passes, forward and
backward, over plain training's: what a strategy takes beyond it is its own work, on perturbations, masks and averages.
On a busy machine the processor's time, "CPU/plain", says more than the clock's, "epoch/plain"; with a GPU it says
nothing. Knobs are the defaults.
"""

import argparse
import sys
from collections.abc import Sequence

from recmodels.data import load_dataset
from recmodels.errors import UserError
from recmodels.training.strategies import STRATEGIES
from tests.benchmarks.epochs import add_options, conditions, job_of, measure_apart
from tests.benchmarks.measure import Figures, Job
from tests.benchmarks.table import number, table_row
from tuning.space.catalogue import known_strategy

COLUMNS = ("strategy", "epoch s", "epoch/plain", "CPU s", "CPU/plain", "bound", "passes")
COMPOSED = ("ssam_f+mg", "mg+ema")


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 the model failed, 2 bad input."""
    try:
        return run(_arguments(argv))
    except UserError as error:
        print(f"strategies: {error}", file=sys.stderr)
        return 2


def run(job: Job) -> int:
    data = load_dataset(job.dataset, job.data_dir)
    print(f"{job.model} on {data}\n\n{conditions(job, data)}\n", flush=True)
    print(f"{len(job.strategies)} strategies, {job.epochs + 1} epochs each", file=sys.stderr, flush=True)
    try:
        figures = measure_apart(job)
    except RuntimeError as error:
        print(f"{job.model} failed: {error}", file=sys.stderr)
        return 1
    if figures is None:
        raise UserError(f"--model: {job.model} has nothing to train")
    print(table(job, figures))
    return 0


def table(job: Job, figures: Figures) -> str:
    """A row for each strategy that the model can have."""
    widths = [max(map(len, job.strategies)), *map(len, COLUMNS[1:])]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    rows = [cells(name, figures) for name in job.strategies if name in figures.epoch]
    return "\n".join(table_row(row, widths) for row in (COLUMNS, rule, *rows))


def cells(name: str, figures: Figures) -> list[str]:
    row = [name]
    for seconds in (figures.epoch, figures.cpu):
        row += [number(seconds[name]), f"{seconds[name] / seconds['plain']:.2f}"]
    return [*row, f"{figures.bound(name):.2f}", f"{figures.passes[name]:,}"]


def _arguments(argv: Sequence[str] | None) -> Job:
    parser = argparse.ArgumentParser(
        "python -m tests.benchmarks.strategies", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("--model", required=True, help="a model's name")
    parser.add_argument("--strategies", default=",".join((*STRATEGIES, *COMPOSED)), help="names with commas between")
    add_options(parser)
    given = parser.parse_args(argv)
    names = [known_strategy(name, "--strategies") for name in given.strategies.replace(" ", "").split(",")]
    return job_of(given, "--model", given.model, strategies=list(dict.fromkeys(["plain", *names])))


if __name__ == "__main__":
    sys.exit(main())
