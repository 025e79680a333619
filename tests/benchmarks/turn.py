"""Trains and ranks with whatever `recmodels` is on the path: one epoch and one ranking for each line on standard input.

Started as a file by `tests.benchmarks.against`, in the working tree and in that of an older commit. So it uses nothing
but what the package has had for long, and an adapter of one line where that has changed. Argument: JSON of "tree",
"cache", "model", "dataset", "data_dir", "steps", "train", "params". Prints {"n_batches", "steps"} when it is ready,
with no steps for a model that has nothing to train; then one line a turn, in CPU seconds of one thread: {"fixed": what
an epoch does once, "batches": its batches, "ranks": some rankings}.
"""
# ruff: noqa: E402

import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

# An installation for development has a finder that would lend an older tree the modules which it lacks.
sys.meta_path[:] = [each for each in sys.meta_path if not getattr(each, "__module__", "").startswith("__editable__")]

import recmodels
from recmodels.data import Interactions, load_dataset
from recmodels.evaluation import Evaluator
from recmodels.models import MODELS
from recmodels.training import TrainingState, make_optimizer, make_strategy, train

try:
    from recmodels.training.memory import keep_freed_memory  # as a trial does, in trees that know it
except ImportError:
    keep_freed_memory = bool

CUTOFFS = (5, 10, 20, 50)
EPOCHS = 10**6  # more than are asked for
MORE_RANKINGS = 2  # a turn, beside the one that follows its epoch: they are short


def main(job: dict[str, Any]) -> None:
    tree = Path(job["tree"])
    if tree not in Path(recmodels.__file__).parents:
        sys.exit(f"recmodels was imported from {recmodels.__file__}, expected {tree}")
    torch.set_num_threads(1)
    keep_freed_memory()
    torch.manual_seed(0)
    data_dir = Path(job["data_dir"]) if job["data_dir"] else None
    data = load_dataset(job["dataset"], data_dir, Path(job["cache"]))
    model: Any = MODELS[job["model"]](data, **job["params"])
    if not any(parameter.requires_grad for parameter in model.parameters()):
        print(json.dumps({"n_batches": 0, "steps": 0}))
        return
    given = dict(job["train"])
    size, optimizer = given.pop("batch_size"), given.pop("optimizer")
    n_batches = -(-len(data.train) // size)
    steps = min(job["steps"] or n_batches, n_batches)
    trained_on = data if steps == n_batches else thinned(data, steps * size)
    state = TrainingState(
        model,
        make_optimizer(optimizer, model.parameters(), **given),
        make_strategy("plain", model),
        np.random.default_rng(0),
    )
    evaluator = getattr(Evaluator, "of", Evaluator)(data, "valid", CUTOFFS)  # an older Evaluator took other arguments
    times: dict[str, float] = {}
    model.new_epoch = marked(model.new_epoch, times, "new_epoch", "batches")
    model.eval = marked(model.eval, times, "trained", "eval")
    reports = train(state, trained_on, batch_size=size, max_epochs=EPOCHS, evaluator=evaluator)
    print(json.dumps({"n_batches": n_batches, "steps": steps}), flush=True)
    for _ in sys.stdin:
        start = time.process_time()
        next(reports)
        ranks = [time.process_time() - times["trained"], *(ranking(model, evaluator) for _ in range(MORE_RANKINGS))]
        fixed = times["batches"] - times["new_epoch"]
        turn = {"fixed": fixed, "batches": times["trained"] - start - fixed, "ranks": ranks}
        print(json.dumps(turn), flush=True)


@torch.no_grad()
def ranking(model: Any, evaluator: Any) -> float:
    """CPU seconds of one ranking of all users, from the parameters."""
    start = time.process_time()
    if hasattr(evaluator, "metrics"):
        evaluator.metrics(model)
    else:
        evaluator(*model.embed())
    return time.process_time() - start


def marked(function: Callable[..., Any], times: dict[str, float], before: str, after: str) -> Callable[..., Any]:
    """The function, with the CPU time before and after its latest call in `times`."""

    def call(*arguments: Any) -> Any:
        times[before] = time.process_time()
        result = function(*arguments)
        times[after] = time.process_time()
        return result

    return call


def thinned(data: Any, n: int) -> Any:
    """`n` of the training pairs at random: a shorter epoch for a model that was built on all of them."""
    rows = np.random.default_rng(0).choice(len(data.train), n, replace=False)
    pairs = Interactions.from_pairs(data.train.users[rows], data.train.items[rows], data.n_users)
    return replace(data, train=pairs, fingerprint=f"{data.fingerprint}, {n} training pairs")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
