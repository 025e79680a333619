"""Seconds and memory of a training epoch of every model, plain and with Mirror Gradient, as a Markdown table.

    python -m tests.benchmarks.epochs --dataset tiktok --data-dir DIR

Each model runs in a fresh process, so that its peak memory is its own and its crash is one line. In that process one
model takes plain and MG epochs in turn, on the same weights and optimiser: both kinds see the same load of the machine,
and as MG keeps nothing between batches the peak memory is that of plain training; two states would double it. The peak
has Python, torch (about 300 MiB) and the data in it. Construction builds the model's graphs, without a cache. Seconds
are medians after one epoch of each kind to warm up. Hyper-parameters are the defaults of the search spaces.

--against COMMIT prints another table: one training epoch, one ranking and both, in CPU seconds of one thread, of this
tree and how many times faster they are than with that commit's code, which is measured in turn; plain training, without
construction. On tiktok, with default hyper-parameters, it adds the time of a step beside its bound and, for the commit
that was once measured beside the reference toolbox, how many times faster than that. Beside a model that this commit
does not have it trains its GRCN, from which follows what the reference would take on this machine.

    python -m tests.benchmarks.epochs --dataset tiktok --data-dir DIR --steps 9 --against 2e551f3 --output FILE.json

--steps N is for data sets with long epochs: N batches per epoch, at random, full validation, epochs projected ("~").
"""

import argparse
import datetime
import os
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from recmodels.data import RecDataset, load_dataset
from recmodels.errors import UserError, did_you_mean
from recmodels.models import MODELS
from tests.benchmarks.against import Compared, Layout, compare, revision, tree_of
from tests.benchmarks.bounds import COMMIT, NEWER, WHEN, YARDSTICK
from tests.benchmarks.machine import Calibration, calibrate
from tests.benchmarks.measure import Figures, Job, measure
from tests.benchmarks.table import Growing, number, output_path
from tuning.records.environment import Environment, GitState
from tuning.space import load_space
from tuning.space.catalogue import check_space, known_parameters
from tuning.space.files import SEARCH_SPACES, read_layer
from tuning.space.parameter import read_parameters

KINDS = ("plain", "mg")
INTERVAL = 3  # Mirror Gradient's
COLUMNS = ("plain epoch s", "MG epoch s", "MG/plain", "bound", "validation s", "construction s", "peak MiB")
GPU_COLUMNS = ("GPU peak MiB",)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 a model failed, 2 bad input."""
    try:
        given, jobs = _arguments(argv)
        output = output_path(given.output) if given.output else None
        if given.against:
            return run_against(jobs, output, given.against, defaults=not given.set)
        return run(jobs, output)
    except UserError as error:
        print(f"epochs: {error}", file=sys.stderr)
        return 2


def run(jobs: list[Job], output: Path | None) -> int:
    """Seconds on the clock and memory, plain and with MG."""
    job = jobs[0]
    data = load_dataset(job.dataset, job.data_dir)
    calibration = calibrate(data, torch.device(job.device), job.threads)
    print(f"{data}\n\n{conditions(job, data)}\n\n{calibration_line(calibration)}\n")
    header = ("model", *COLUMNS, *(GPU_COLUMNS if job.device == "cuda" else ()))
    table = Growing(header, jobs, about(job, data), output)
    for job, figures in table.each(measure_apart):
        table.add(cells(job, figures), {"model": job.model, **asdict(figures)})
    return int(table.failed)


def run_against(jobs: list[Job], output: Path | None, commit: str, *, defaults: bool) -> int:
    """CPU seconds beside those of a commit; `defaults`: no hyper-parameter was set by hand."""
    job = jobs[0]
    data = load_dataset(job.dataset, job.data_dir)
    with tree_of(commit) as then, tempfile.TemporaryDirectory(prefix="against-cache-") as cache:
        bounded = job.dataset == "tiktok" and defaults
        layout = Layout(bounded, bounded and revision(commit).startswith(COMMIT))
        print(f"{data}\n\n{conditions(job, data)}; CPU seconds, in turn with commit {commit}")
        print(f"The reference and the bounds: {WHEN}.\n" if bounded else "")
        yardstick = replace(job, model=YARDSTICK, base=_base(YARDSTICK, job.dataset, ()))
        table = Growing(layout.columns, jobs, {**about(job, data), "against": revision(commit)}, output)
        found: list[Compared] = []
        for _, compared in table.each(
            lambda job: compare(job, yardstick if layout.reference and job.model in NEWER else job, then, Path(cache))
        ):
            found.append(compared)
            table.add(layout.cells(compared), asdict(compared))
        if found:
            table.line(layout.means(found))
    return int(table.failed)


def about(job: Job, data: RecDataset) -> dict[str, Any]:
    """What a file of rows says besides them."""
    sizes = {"users": data.n_users, "items": data.n_items, "interactions": len(data.train)}
    return {"dataset": data.name, **sizes, "conditions": conditions(job, data)}


def measure_apart(job: Job) -> Figures | None:
    """`measure` in a process of its own. RuntimeError, one line, if that dies or raises."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(measure, job).result()
        except BrokenProcessPool:
            raise RuntimeError("its process died, of too little memory or as stderr says") from None
        except Exception as error:
            raise RuntimeError(f"{type(error).__name__}: {error}".splitlines()[0]) from error


def conditions(job: Job, data: RecDataset) -> str:
    """The machine, the versions and what is averaged."""
    record = Environment.now(data, sys.argv, job.threads)
    git = record.git or GitState("unknown", dirty=False)
    parts = [f"{record.cpu.name}, {record.cpu.cores} cores, {job.threads} threads"]
    parts += [torch.cuda.get_device_name(job.device)] if job.device == "cuda" else []
    parts += [f"torch {torch.__version__}", f"commit {git.commit[:7]}{' with changes' if git.dirty else ''}"]
    parts += [f"load {os.getloadavg()[0]:.1f} before"] if hasattr(os, "getloadavg") else []
    parts += [f"medians of {job.epochs}" + (f" epochs of {job.steps} batches, projected" if job.steps else " epochs")]
    return "; ".join([*parts, f"{datetime.date.today():%d %B %Y}"])


def calibration_line(ours: Calibration) -> str:
    parts = [f"CSR product {number(ours.csr_ms)} ms", f"matrix product {number(ours.matrix_ms)} ms"]
    return ", ".join([*parts, f"copy {number(ours.copy_gbs)} GB/s"])


def cells(job: Job, figures: Figures) -> list[str]:
    """One model's row; a projected time has a tilde."""
    about = "~" if figures.projected else ""
    row = [job.model, *(about + number(figures.epoch[strategy]) for strategy in KINDS)]
    ratio = figures.epoch["mg"] / figures.epoch["plain"]
    row += [f"{ratio:.2f}", f"{figures.bound('mg'):.2f}", number(figures.validation)]
    row += [number(figures.construction), f"{figures.peak / 2**20:,.0f}"]
    if job.device == "cuda":
        row.append(f"{figures.gpu_peak / 2**20:,.0f}")
    return row


def _arguments(argv: Sequence[str] | None) -> tuple[argparse.Namespace, list[Job]]:
    parser = argparse.ArgumentParser("python -m tests.benchmarks.epochs", description=(__doc__ or "").split("\n\n")[0])
    add_options(parser)
    parser.add_argument("--models", default=",".join(MODELS), help="names with commas between them (default: all)")
    parser.add_argument("--steps", type=int, help=f"batches per epoch, a multiple of {INTERVAL}; epochs are projected")
    parser.add_argument(
        "--against", metavar="COMMIT", help="CPU seconds of one thread, in turn with this commit's code"
    )
    parser.add_argument("--output", help="a file to keep the rows in, unrounded, .json")
    given = parser.parse_args(argv)
    if given.steps is not None and (given.steps < 1 or given.steps % INTERVAL):
        # Then the share of batches that MG passes twice is an epoch's.
        raise UserError(f"--steps: expected a multiple of {INTERVAL}, MG's interval, but got {given.steps}")
    if given.against:
        if given.device != "cpu":
            raise UserError("--against: counts CPU seconds, so --device must be cpu, but got cuda")
        given.threads = 1 if given.threads is None else given.threads
        if given.threads > 1:
            raise UserError(f"--against: counts CPU seconds of one thread, but got --threads {given.threads}")
    names = given.models.replace(" ", "").split(",")
    return given, [job_of(given, "--models", model, given.steps) for model in names]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Those that a benchmark of strategies has too."""
    parser.add_argument("--dataset", required=True, help="demo, synthetic:<name> or a folder in --data-dir")
    parser.add_argument("--data-dir", type=Path, help="the folder that holds the data set's")
    parser.add_argument("--epochs", type=int, default=5, help="of each kind, after one to warm up (default: 5)")
    parser.add_argument("--threads", type=int, help="of torch (default: all cores)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="for all the models; repeat it"
    )


def job_of(
    given: argparse.Namespace, option: str, model: str, steps: int | None = None, strategies: Sequence[str] = KINDS
) -> Job:
    """What `add_options` has asked for, checked, with the defaults of the model's search space. `option` named the
    model."""
    given.threads = _cores() if given.threads is None else given.threads
    for name in ("epochs", "threads"):
        if getattr(given, name) < 1:
            raise UserError(f"--{name}: expected at least 1, but got {getattr(given, name)}")
    if given.device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch finds no GPU here")
    if model not in MODELS:
        raise UserError(f"{option}: there is no model {model!r}{did_you_mean(model, MODELS)}")
    base, kinds = _base(model, given.dataset, given.set), tuple(strategies)
    return Job(model, base, given.dataset, given.data_dir, given.epochs, steps, given.threads, given.device, kinds)


def _base(model: str, dataset: str, overrides: Sequence[str]) -> dict[str, dict[str, Any]]:
    """{"train", "model"} -> parameters. The model's own, not those of a pair: with these the reference was measured."""
    layer = read_parameters(read_layer(SEARCH_SPACES, "models", model), ("train", "model"))
    own = [each for each in layer if each.section == "model"]
    known = known_parameters(model, "plain")
    space = load_space(model, "plain", dataset, overrides=[*own, *overrides], known=known)
    check_space(space, model, "plain")
    if (base := space.base_defaults()) is None:
        raise UserError(f"{model} on {dataset}: a parameter has no default; expected --set with one value for it")
    return base


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if __name__ == "__main__":
    sys.exit(main())
