"""Cards that several trials share, with --gpus-per-trial auto: a probe before the search, and more of a card for trials
that have run out of memory."""

import math
import time
from collections.abc import Callable
from dataclasses import replace

import ray

from recmodels.data.dataset import RecDataset
from tuning.execution.cards import Meter, fewer, share, trials_per_card
from tuning.execution.memory import is_of_gpu
from tuning.execution.observer import Observer
from tuning.execution.probe import CudaGauge, probe
from tuning.execution.ray_tune.budget import OutOfBudget
from tuning.execution.ray_tune.cluster import Say, alive_nodes
from tuning.execution.ray_tune.placement import Node, TrialResources, count, placement
from tuning.execution.ray_tune.tuner import run_trials
from tuning.proposals import planned_trials
from tuning.proposals.study import Study
from tuning.records import SearchFolder
from tuning.spec import Resources, SearchSpec

Probe = Callable[[SearchSpec, RecDataset], list[Meter]]
"""Measures a trial of a search on each kind of card."""


def probe_cards(spec: SearchSpec, data: RecDataset) -> list[Meter]:
    """Measure a trial of the search on one free card of each kind that the running Ray knows, all at the same time."""
    kinds = {_kind(node["Resources"]) for node in ray.nodes() if node["Alive"] and node["Resources"].get("GPU", 0)}
    # A copy of its own, given back after the probe: that of the trials may also have the tables of a cluster.
    stored, cpus = ray.put(data), spec.resources.cpus_per_trial or 1
    task = ray.remote(num_gpus=1, num_cpus=cpus, max_retries=0)(_probe_here)  # its process ends with it
    return ray.get(
        [task.options(resources={kind: 0.001} if kind else {}).remote(spec, stored) for kind in sorted(kinds)]
    )


def shared(
    resources: TrialResources, spec: SearchSpec, data: RecDataset, say: Say, measure: Probe = probe_cards
) -> TrialResources:
    """Return `resources`, which have a whole card, with the share of a card that a probe finds right; without a card,
    or if the share was given, as they are."""
    if spec.resources.gpus_per_trial != "auto":
        return resources
    if not resources.gpus:
        say("--gpus-per-trial auto: there is no card to measure, trials run on the CPU")
        return resources
    say("--gpus-per-trial auto: a probe trains on a card, and waits for one that is free")
    try:
        meters = measure(spec, data)
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[-1]
        say(f"--gpus-per-trial auto: the probe failed, each trial has a card to itself: {reason}")
        return resources
    nodes = [node for node in alive_nodes() if node.gpus]
    trials = trials_per_card(meters, _most(nodes, spec))
    say(f"--gpus-per-trial auto: {count(trials, 'trial')} at a time on a card ({'; '.join(map(str, meters))})")
    return _placed(replace(resources, meters=tuple(meters)), nodes, spec, trials)


def run_with_enough(
    spec: SearchSpec,
    folder: SearchFolder,
    study: Study,
    data: RecDataset,
    resources: TrialResources,
    observer: Observer,
) -> bool:
    """Run the trials as `run_trials` does. With shares from a probe, those that ran out of a card's memory run again
    with twice the share, until they have a card to themselves, within the budget."""
    start = time.monotonic()
    complete = run_trials(spec, folder, study, data, resources, observer)
    while complete and (lost := _lost(folder)) and (more := _enlarged(resources, spec)):
        left = _time_left(spec, start)
        if left is None or OutOfBudget(left, folder).stop_all():
            break
        observer.say(f"{count(len(lost), 'trial')} out of memory with {resources}, tried again with {more}")
        study.reconcile(folder.ledger(), folder.unfinished())
        resources = more
        complete = run_trials(left, folder, study, data, resources, observer)
    return complete


def _probe_here(spec: SearchSpec, data: RecDataset) -> Meter:
    return probe(spec, data, CudaGauge())


def _kind(resources: dict[str, float]) -> str:
    """Return the resource by which Ray names a node's kind of card; "" if it knows none."""
    return next((name for name in sorted(resources) if name.startswith("accelerator_type:")), "")


def _most(nodes: list[Node], spec: SearchSpec) -> int:
    """Return the most trials on a card that there are cores and work for."""
    cores = min(node.cpus // node.gpus for node in nodes) // (spec.resources.cpus_per_trial or 1)
    at_once = min(planned_trials(spec), spec.resources.max_concurrent or math.inf)
    return max(1, min(cores, math.ceil(at_once / sum(node.gpus for node in nodes))))


def _placed(resources: TrialResources, nodes: list[Node], spec: SearchSpec, trials: int) -> TrialResources:
    part = share(resources.meters, trials)
    wanted: Resources = spec.resources.model_copy(update={"gpus_per_trial": part.gpus})
    made = placement(nodes, wanted, spec.budget.trials, resources.grows)
    return replace(made, memory=part.memory, meters=resources.meters)


def _lost(folder: SearchFolder) -> list[str]:
    return [name for name, reason in folder.out_of_memory().items() if is_of_gpu(reason)]


def _enlarged(resources: TrialResources, spec: SearchSpec) -> TrialResources | None:
    """Return the resources with twice the share of a card; None if they are not from a probe, or are a whole card."""
    trials = fewer(int(1 / resources.gpus)) if resources.meters else None
    if trials is None:
        return None
    made = _placed(resources, [node for node in alive_nodes() if node.gpus], spec, trials)
    return replace(made, cpus=resources.cpus)  # the threads stay the same


def _time_left(spec: SearchSpec, start: float) -> SearchSpec | None:
    """Return the spec with the seconds of its budget that are left since `start`; None if none are."""
    if spec.budget.seconds is None:
        return spec
    left = spec.budget.seconds - (time.monotonic() - start)
    budget = spec.budget.model_copy(update={"seconds": left})
    return spec.model_copy(update={"budget": budget}) if left > 0 else None
