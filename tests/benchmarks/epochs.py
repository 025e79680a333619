"""Seconds and memory of a training epoch of every model, plain and with Mirror Gradient, as a Markdown table.

    python -m tests.benchmarks.epochs --dataset tiktok --data-dir DIR

Each model runs in a fresh process, so that its peak memory is its own and its crash is one line. In that process one
model takes plain and MG epochs in turn, on the same weights and optimiser: both kinds see the same load of the machine,
and as MG keeps nothing between batches the peak memory is that of plain training; two states would double it. The peak
has Python, torch (about 300 MiB) and the data in it. Construction builds the model's graphs, without a cache. Seconds
are medians after one epoch of each kind to warm up. Hyper-parameters are the defaults of the search spaces.

--steps N is for data sets with long epochs: N batches per epoch, at random, full validation, epochs projected ("~").
"""

import argparse
import os
import statistics
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from recmodels.data import RecDataset, load_dataset
from recmodels.errors import UserError, did_you_mean
from recmodels.models import MODELS
from tests.benchmarks.machine import Calibration, calibrate
from tests.benchmarks.measure import Figures, Job, measure
from tuning.records.environment import Environment, GitState
from tuning.space import load_space
from tuning.space.catalogue import check_space, known_parameters

# The field's reference toolbox on tiktok, 2 cores, batch 2048, plain training, medians of 5 epochs, in seconds; one
# full validation; and the calibration of the machine it ran on.
REFERENCE = {
    "MMGCN": 14.4,
    "DRAGON": 15.0,
    "DualGNN": 10.5,
    "GRCN": 10.3,
    "SLMRec": 6.9,
    "LayerGCN": 2.55,
    "BM3": 1.83,
    "FREEDOM": 1.25,
    "LightGCN": 0.84,
    "VBPR": 0.65,
    "SelfCF": 0.54,
    "BPR": 0.35,
}
REFERENCE_VALIDATION = 0.60
REFERENCE_MACHINE = Calibration(csr_ms=2.0, matrix_ms=85.0, copy_gbs=6.5)

KINDS = ("plain", "mg")
INTERVAL = 3  # Mirror Gradient's
COLUMNS = ("plain epoch s", "MG epoch s", "MG/plain", "bound", "validation s", "construction s", "peak MiB")
GPU_COLUMNS = ("GPU peak MiB",)
REFERENCE_COLUMNS = ("reference s", "ours/reference")


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 a model failed, 2 bad input."""
    try:
        return run(_arguments(argv))
    except UserError as error:
        print(f"epochs: {error}", file=sys.stderr)
        return 2


def run(jobs: list[Job]) -> int:
    """Print each row as soon as it is measured: a long run that is stopped keeps what it has."""
    job, compared = jobs[0], jobs[0].dataset == "tiktok"
    data = load_dataset(job.dataset, job.data_dir)
    calibration = calibrate(data, torch.device(job.device), job.threads)
    print(f"{data}\n\n{conditions(job, data)}\n\n{calibration_line(calibration, compared)}\n")
    gpu, reference = GPU_COLUMNS if job.device == "cuda" else (), REFERENCE_COLUMNS if compared else ()
    header = ("model", *COLUMNS, *gpu, *reference)
    widths = [max(len(job.model) for job in jobs), *map(len, header[1:])]
    print(table_row(header, widths))
    print(table_row(["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])], widths), flush=True)
    measured: dict[str, Figures] = {}
    failed = False
    for count, job in enumerate(jobs, start=1):
        print(f"{job.model}, {count} of {len(jobs)}", file=sys.stderr, flush=True)
        try:
            figures = measure_apart(job)
        except RuntimeError as error:
            failed = True
            print(table_row([job.model, f"failed: {error}"], widths), flush=True)
            continue
        if figures is None:
            print(f"{job.model} has nothing to train", file=sys.stderr)
            continue
        measured[job.model] = figures
        print(table_row(cells(job, figures, compared), widths), flush=True)
    if compared and (line := comparison(measured)):
        print(f"\n{line}")
    return int(failed)


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
    return "; ".join(parts)


def calibration_line(ours: Calibration, compared: bool) -> str:
    def beside(reference: float) -> str:
        return f" ({reference:g})" if compared else ""

    parts = [
        f"CSR product {number(ours.csr_ms)} ms{beside(REFERENCE_MACHINE.csr_ms)}",
        f"matrix product {number(ours.matrix_ms)} ms{beside(REFERENCE_MACHINE.matrix_ms)}",
        f"copy {number(ours.copy_gbs)} GB/s{beside(REFERENCE_MACHINE.copy_gbs)}",
    ]
    return ", ".join(parts) + ("; in brackets the machine of the reference times" if compared else "")


def cells(job: Job, figures: Figures, compared: bool) -> list[str]:
    """One model's row; a projected time has a tilde."""
    about = "~" if figures.projected else ""
    row = [job.model, *(about + number(figures.epoch[strategy]) for strategy in KINDS)]
    ratio = figures.epoch["mg"] / figures.epoch["plain"]
    row += [f"{ratio:.2f}", f"{figures.bound('mg'):.2f}", number(figures.validation)]
    row += [number(figures.construction), f"{figures.peak / 2**20:,.0f}"]
    if job.device == "cuda":
        row.append(f"{figures.gpu_peak / 2**20:,.0f}")
    if compared and job.model in REFERENCE:
        reference = REFERENCE[job.model]
        row += [f"{reference:g}", f"{about}{figures.epoch['plain'] / reference:.3f}"]
    elif compared:
        row += ["", ""]
    return row


def comparison(measured: dict[str, Figures]) -> str:
    """What the models measured come to beside the reference; empty if it has none of them."""
    ratios = [figures.epoch["plain"] / REFERENCE[model] for model, figures in measured.items() if model in REFERENCE]
    if not ratios:
        return ""
    validation = statistics.median(figures.validation for figures in measured.values())
    return (
        f"ours/reference, plain epochs: geometric mean {statistics.geometric_mean(ratios):.3f} over {len(ratios)} "
        f"models. Validation: {number(validation)} s, the median of the models, against {REFERENCE_VALIDATION:g} s."
    )


def table_row(texts: Sequence[str], widths: Sequence[int]) -> str:
    """A line of Markdown with the first cell flush left; a row may end early."""
    first, *others = texts
    padded = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=False))]
    return f"| {' | '.join(padded)} |"


def number(value: float) -> str:
    """Three digits, or more before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}"


def _arguments(argv: Sequence[str] | None) -> list[Job]:
    parser = argparse.ArgumentParser("python -m tests.benchmarks.epochs", description=(__doc__ or "").split("\n\n")[0])
    add_options(parser)
    parser.add_argument("--models", default=",".join(MODELS), help="names with commas between them (default: all)")
    parser.add_argument("--steps", type=int, help=f"batches per epoch, a multiple of {INTERVAL}; epochs are projected")
    given = parser.parse_args(argv)
    if given.steps is not None and (given.steps < 1 or given.steps % INTERVAL):
        # Then the share of batches that MG passes twice is an epoch's.
        raise UserError(f"--steps: expected a multiple of {INTERVAL}, MG's interval, but got {given.steps}")
    return [job_of(given, "--models", model, given.steps) for model in given.models.replace(" ", "").split(",")]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Those that a benchmark of strategies has too."""
    parser.add_argument("--dataset", required=True, help="demo, synthetic:<name> or a folder in --data-dir")
    parser.add_argument("--data-dir", type=Path, help="the folder that holds the data set's")
    parser.add_argument("--epochs", type=int, default=5, help="of each kind, after one to warm up (default: 5)")
    parser.add_argument("--threads", type=int, default=_cores(), help="of torch (default: all cores)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="for all the models; repeat it"
    )


def job_of(
    given: argparse.Namespace, option: str, model: str, steps: int | None = None, strategies: Sequence[str] = KINDS
) -> Job:
    """What `add_options` has asked for, checked, with the defaults of the model's search space and of its pair with
    the data set. `option` named the model."""
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
    """{"train", "model"} -> parameters."""
    space = load_space(model, "plain", dataset, overrides=overrides, known=known_parameters(model, "plain"))
    check_space(space, model, "plain")
    if (base := space.base_defaults()) is None:
        raise UserError(f"{model} on {dataset}: a parameter has no default; expected --set with one value for it")
    return base


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if __name__ == "__main__":
    sys.exit(main())
