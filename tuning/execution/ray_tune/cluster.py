"""Ray on this machine or on a cluster, and what each trial gets of it."""

import logging
import signal
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
import torch

from recmodels.errors import UserError
from tuning.execution.ray_tune.address import Address
from tuning.execution.ray_tune.extras import no_messages, no_servers
from tuning.execution.ray_tune.folder import ray_folder
from tuning.execution.ray_tune.joining import check_joining
from tuning.execution.ray_tune.keeper import forget_keeper
from tuning.execution.ray_tune.nodes import Versions, check_nodes, runtime_env
from tuning.execution.ray_tune.object_store import forget_stored
from tuning.execution.ray_tune.placement import Node, TrialResources, count, placement
from tuning.execution.storage import Storage, remove
from tuning.spec import Resources, SearchSpec

Say = Callable[[str], None]
"""Tells a person one line."""


@contextmanager
def cluster(address: Address, spec: SearchSpec, say: Say) -> Iterator[TrialResources]:
    """Run Ray, on this machine or on a cluster, quietly, and yield what each trial of the search gets.

    A Ray that runs already is left running. Call `settings.prepare`, which returns the address, before this module is
    imported. UserError, one line, if Ray does not start, the cluster cannot be joined, a node is not fit for trials or
    does not reach the storage, or no trial could ever run.
    """
    if ray.is_initialized():
        yield trial_resources(address, spec, say=lambda _: None)  # all was said when it started
        return
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # a failed trial's reason is in the ledger
    on_sigterm = signal.getsignal(signal.SIGTERM)
    storage = Storage.of(spec.resources.storage) if spec.resources.storage else None
    if storage:
        remove(storage.check())
    try:
        if address.cluster is None:
            _start(say)
        else:
            _join(address, say)
            check_nodes(Versions.here(), storage)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, on_sigterm)  # Ray has put its own there, which ends the process at once
        with no_messages():
            yield trial_resources(address, spec, say)
    finally:
        forget_stored()
        forget_keeper()
        ray.shutdown()


def trial_resources(address: Address, spec: SearchSpec, say: Say) -> TrialResources:
    """Return what each trial of the search gets of the running Ray. UserError if no trial could ever run."""
    nodes, wanted = alive_nodes(), spec.resources
    if address.cluster is None:
        nodes = _usable(nodes, wanted, say)
    made = placement(nodes, wanted, spec.budget.trials, grows=address.cluster is not None)
    if wanted.max_concurrent and made.concurrent < wanted.max_concurrent:
        say(f"--max-concurrent {wanted.max_concurrent}: only {made.concurrent} at a time, each needs {made}")
    return made


def alive_nodes() -> list[Node]:
    """Return the nodes of the running Ray."""
    parts = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [
        Node(
            int(each.get("CPU", 0)),
            int(each.get("GPU", 0)),
            {name: amount for name, amount in each.items() if name not in ("CPU", "GPU")},
        )
        for each in parts
    ]


def _usable(nodes: list[Node], wanted: Resources, say: Say) -> list[Node]:
    """Return this machine without its GPUs if torch cannot use them: Ray counts those that the driver lists.

    UserError if trials are to have one. Makes no CUDA context.
    """
    if not any(node.gpus for node in nodes):
        return nodes
    with warnings.catch_warnings(record=True) as caught:  # torch warns of a driver that is too old
        warnings.simplefilter("always")
        if torch.cuda.is_available():
            return nodes
    built = torch.version.cuda or torch.version.hip
    fault = "finds no device it can use" if built else "is built for the CPU alone"
    reason = " ".join([f"torch {torch.__version__} {fault}", *(f"({each.message})" for each in caught[:1])])
    if wanted.gpus:
        raise UserError(f"--gpus-per-trial {wanted.gpus:g}: {reason}")
    if wanted.gpus is None:
        say(f"trials run on the CPU: this machine has a GPU, but {reason}")
    return [replace(node, gpus=0) for node in nodes]


def _start(say: Say) -> None:
    """Start Ray on this machine; on a busy one its first start may time out, so there is a second one."""
    folder = ray_folder()
    try:
        _init_here(folder)
    except _NoRay as first:
        say(f"Ray has not started ({first}), trying again")
        try:
            _init_here(folder)
        except _NoRay as second:
            logs = folder / "session_latest" / "logs"
            raise UserError(f"Ray does not start on this machine: {second}; its logs are in {logs}") from None


def _join(address: Address, say: Say) -> None:
    """Join the cluster, and say which it is."""
    check_joining(address)
    try:
        _init(address=address.cluster, runtime_env=runtime_env())
    except _NoRay as error:
        raise UserError(f"{address}: {error}") from None
    nodes, place = alive_nodes(), ray.get_runtime_context().gcs_address
    parts = (len(nodes), "node"), (sum(node.cpus for node in nodes), "CPU"), (sum(node.gpus for node in nodes), "GPU")
    say(f"Ray cluster at {place} (from {address.source}): {', '.join(count(*part) for part in parts)}")


class _NoRay(Exception):
    """Tells, in one line, why Ray did not start."""


def _init_here(folder: Path) -> None:
    with no_servers():
        _init(address="local", include_dashboard=False, _temp_dir=str(folder))


def _init(**options: Any) -> None:
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
    except Exception as error:  # Ray raises whatever its parts raise
        ray.shutdown()
        _end_processes(error)
        raise _NoRay(" ".join(str(error).split()) or type(error).__name__) from None


def _end_processes(error: Exception) -> None:
    """End the servers of a node that did not come up: Ray has lost its handle on them by then."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        end = getattr(frame.f_locals.get("self"), "kill_all_processes", None)
        if end:
            end(check_alive=False, allow_graceful=False)
