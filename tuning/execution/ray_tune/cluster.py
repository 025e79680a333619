"""Ray on this machine or on a cluster, and what each trial gets of it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray

from tuning.spec import SearchSpec

MAX_CPU_TRIALS = 8
"""Trials at a time where the number is not given: a sequential sampler learns little from many parallel ones."""


@dataclass(frozen=True)
class TrialResources:
    """The cores and GPUs of one trial, and how many trials run at a time."""

    cpus: int
    gpus: float
    concurrent: int

    @property
    def device(self) -> str:
        return "cuda" if self.gpus else "cpu"


@contextmanager
def cluster(address: str | None) -> Iterator[None]:
    """Run Ray, on this machine or on the cluster at `address`, quietly; a Ray that runs already is left running.

    Call `settings.prepare` before this module is imported.
    """
    if ray.is_initialized():
        yield
        return
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # a failed trial's reason is in the ledger
    local: dict[str, Any] = {} if address else {"include_dashboard": False}
    ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **local)
    try:
        yield
    finally:
        ray.shutdown()


def trial_resources(spec: SearchSpec) -> TrialResources:
    """The spec's resources; the running cluster decides what the spec leaves open.

    A GPU per trial if there is one, else as many trials at a time as there are cores, at most MAX_CPU_TRIALS, sharing
    the cores evenly.
    """
    cores, gpus = (int(ray.cluster_resources().get(kind, 0)) for kind in ("CPU", "GPU"))
    wanted, per_trial = spec.resources, spec.resources.gpus_per_trial
    if per_trial is None:
        per_trial = 1.0 if gpus else 0.0
    if per_trial:
        concurrent = wanted.max_concurrent or max(1, int(gpus / per_trial + 1e-9))
    else:
        by_cores = cores // (wanted.cpus_per_trial or 1)
        concurrent = wanted.max_concurrent or min(by_cores, MAX_CPU_TRIALS, spec.budget.trials)
    concurrent = max(1, concurrent)
    return TrialResources(wanted.cpus_per_trial or max(1, cores // concurrent), per_trial, concurrent)
