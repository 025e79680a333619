"""Epochs per second of 1, 4, 8 and 16 trials at a time on one card, or on the cores, as a Markdown table.

    python -m tests.benchmarks.many_trials --dataset synthetic:tiktok --models LightGCN,GRCN --device cuda

A trial is a process with one thread of its own, as in a search; an epoch is a plain one with its validation. All
processes start once, and in each round the first ones of them train while the others wait. A round's rate is its number
of epochs over the time from the first trial's start to the last one's end; "x 1 trial" is that rate over a single
trial's.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from multiprocessing import Manager, get_context
from threading import Barrier, BrokenBarrierError

import numpy as np
import torch

from recmodels.data import RecDataset, load_dataset
from recmodels.errors import UserError
from recmodels.evaluation import Evaluator
from recmodels.models import MODELS
from recmodels.training import TrainingState, make_optimizer, make_strategy, train
from tests.benchmarks.epochs import add_options, conditions, job_of
from tests.benchmarks.machine import synchronise
from tests.benchmarks.measure import CUTOFFS, Job
from tests.benchmarks.table import number, table_row

Span = tuple[float, float]
"""When a trial began a round and when it ended, on the clock that all processes share."""
COLUMNS = ("model", "trials", "epochs/s", "x 1 trial", "s/epoch of a trial")
PATIENCE = 900.0
"""Seconds that processes wait for each other at most."""


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 a trial failed, 2 bad input."""
    try:
        return run(*_arguments(argv))
    except UserError as error:
        print(f"many_trials: {error}", file=sys.stderr)
        return 2


def run(jobs: list[Job], sizes: list[int]) -> int:
    """Print the table, a model's rows as soon as they are measured."""
    data = load_dataset(jobs[0].dataset, jobs[0].data_dir)
    machine, _, _ = conditions(jobs[0], data).rpartition("; ")  # less its last part, of what medians are taken
    print(f"{data}\n\n{machine}; {jobs[0].epochs} epochs of each trial\n")
    widths = [max(len(each) for each in (*MODELS, COLUMNS[0])), *map(len, COLUMNS[1:])]
    print(table_row(COLUMNS, widths))
    print(table_row(["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])], widths), flush=True)
    for job in jobs:
        try:
            rounds = measure_together(job, sizes)
        except Exception as error:
            print(f"{job.model}: {type(error).__name__}: {error}".splitlines()[0], file=sys.stderr)
            return 1
        for row in rows(job, rounds):
            print(table_row(row, widths), flush=True)
    return 0


def rows(job: Job, rounds: dict[int, list[Span]]) -> list[list[str]]:
    """A row for each number of trials, from the spans of each trial."""
    rates = {
        n: n * job.epochs / (max(end for _, end in spans) - min(start for start, _ in spans))
        for n, spans in rounds.items()
    }
    one = rates.get(1)
    return [
        [job.model, str(n), number(rate), f"{rate / one:.2f}" if one else "", number(n / rate)]
        for n, rate in rates.items()
    ]


def measure_together(job: Job, sizes: list[int]) -> dict[int, list[Span]]:
    """The spans of each round's trials, by their number. Raises what a trial raises."""
    most, context = max(sizes), get_context("spawn")
    with Manager() as manager, ProcessPoolExecutor(most, mp_context=context) as pool:
        barrier = manager.Barrier(most)
        running = [pool.submit(trial, job, place, sizes, barrier) for place in range(most)]
        if any(each.exception() for each in wait(running, return_when=FIRST_EXCEPTION).done):
            barrier.abort()  # the others would wait for the one that failed
        wait(running)
        faults = [fault for each in running if (fault := each.exception())]
        for fault in sorted(faults, key=lambda each: isinstance(each, BrokenBarrierError)):
            raise fault
        spans = [each.result() for each in running]
    return {n: [each[n] for each in spans if n in each] for n in sizes}


def trial(job: Job, place: int, sizes: list[int], barrier: Barrier) -> dict[int, Span]:
    """One process: trains in the rounds of more than `place` trials; returns when it began each and when it ended."""
    torch.set_num_threads(job.threads)
    device, spans = torch.device(job.device), {}
    epochs = _epochs(job, load_dataset(job.dataset, job.data_dir), device, seed=place)
    next(epochs)  # to warm up
    for n in sizes:
        barrier.wait(PATIENCE)
        if place < n:
            start = time.monotonic()
            for _ in range(job.epochs):
                next(epochs)
            synchronise(device)
            spans[n] = start, time.monotonic()
        barrier.wait(PATIENCE)
    return spans


def _epochs(job: Job, data: RecDataset, device: torch.device, seed: int) -> Iterator[object]:
    train_with = dict(job.base["train"])
    batch_size, optimizer = train_with.pop("batch_size"), train_with.pop("optimizer")
    torch.manual_seed(seed)
    model = MODELS[job.model](data, **job.base["model"]).to(device)
    made = make_optimizer(optimizer, model.parameters(), **train_with)
    state = TrainingState(model, made, make_strategy("plain", model), np.random.default_rng(seed))
    evaluator = Evaluator(data, "valid", CUTOFFS)
    return train(state, data, batch_size=batch_size, max_epochs=sys.maxsize, evaluator=evaluator)


def _arguments(argv: Sequence[str] | None) -> tuple[list[Job], list[int]]:
    parser = argparse.ArgumentParser(
        "python -m tests.benchmarks.many_trials", description=(__doc__ or "").split("\n\n")[0]
    )
    add_options(parser)
    parser.add_argument("--models", default="LightGCN,GRCN", help="names with commas between (default: %(default)s)")
    parser.add_argument("--trials", default="1,4,8,16", help="at a time, with commas between (default: %(default)s)")
    parser.set_defaults(threads=1)
    given = parser.parse_args(argv)
    sizes = [int(each) if each.isdecimal() else 0 for each in given.trials.replace(" ", "").split(",")]
    if min(sizes) < 1:
        raise UserError(f"--trials: expected whole numbers from 1, with commas between, but got {given.trials}")
    models = given.models.replace(" ", "").split(",")
    jobs = [job_of(given, "--models", model, strategies=("plain",)) for model in models]
    if untrained := next((job.model for job in jobs if not MODELS[job.model].trains), None):
        raise UserError(f"--models: {untrained} has nothing to train")
    return jobs, list(dict.fromkeys(sizes))


if __name__ == "__main__":
    sys.exit(main())
