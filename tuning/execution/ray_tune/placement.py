"""How many trials run at a time, and with what: pure functions of the nodes and of what is wanted. Without Ray."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from recmodels.errors import UserError
from tuning.execution.cards import Meter
from tuning.spec import Resources

NOTHING: Mapping[str, float] = {}
MAX_CPU_TRIALS = 8
"""Trials at a time where the number is not given: a sequential sampler learns little from many parallel ones."""


@dataclass(frozen=True)
class Node:
    """A machine of Ray's: its cores and GPUs, whether or not they are in use. `named`: its other resources."""

    cpus: int
    gpus: int
    named: Mapping[str, float] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class TrialResources:
    """The cores and GPUs of one trial, and how many trials run at a time.

    `grows`: they may be of a node that is still to come, as nodes join and leave a cluster. `machine`: what all nodes
    that were there had together. `named`: further resources of a trial. `memory`: the share of a card's memory that
    torch may take in a trial's process, None for all of it; `meters`: the probe that the share of a card comes from, ()
    if it was given.
    """

    cpus: int
    gpus: float
    concurrent: int
    grows: bool = False
    machine: Node | None = field(default=None, compare=False)
    named: Mapping[str, float] = field(default_factory=dict)
    memory: float | None = None
    meters: tuple[Meter, ...] = field(default=(), compare=False)

    @property
    def device(self) -> str:
        return "cuda" if self.gpus else "cpu"

    def __str__(self) -> str:
        return " and ".join([amount(self.cpus, self.gpus), *(f"{much:g} {name}" for name, much in self.named.items())])


def placement(nodes: Sequence[Node], wanted: Resources, trials: int, grows: bool = False) -> TrialResources:
    """Return what each trial gets; the nodes decide what `wanted` leaves open.

    A GPU per trial if there is one, else as many trials at a time as there are cores, at most MAX_CPU_TRIALS and
    `trials`, and as many cores for each as leave room for them all. UserError if no node has what a trial needs, unless
    the cluster `grows`.
    """
    gpus = wanted.gpus
    if gpus is None:
        gpus = 1.0 if any(node.gpus for node in nodes) else 0.0
    room = trials_that_fit(nodes, wanted.cpus_per_trial or 1, gpus, wanted.named)
    if not room:
        needed = TrialResources(
            wanted.cpus_per_trial or 1, gpus, wanted.max_concurrent or 1, grows, named=dict(wanted.named)
        )
        if grows:
            return needed
        raise UserError(
            f"{_option(nodes, needed)}: no trial can run, it needs {needed}, but {largest(nodes, 'this machine')}"
        )
    concurrent = wanted.max_concurrent or (room if gpus else min(room, MAX_CPU_TRIALS, trials))
    if not grows:
        concurrent = min(concurrent, room)
    cpus = wanted.cpus_per_trial or most_cpus(nodes, gpus, min(concurrent, room), wanted.named)
    machine = Node(sum(node.cpus for node in nodes), sum(node.gpus for node in nodes))
    return TrialResources(cpus, gpus, concurrent, grows, machine, dict(wanted.named))


def trials_that_fit(nodes: Iterable[Node], cpus: int, gpus: float, named: Mapping[str, float] = NOTHING) -> int:
    """Return how many trials run at a time on the nodes. A trial has all it needs on one node, a share of a GPU on one
    GPU."""

    def fit(node: Node) -> int:
        by_gpus = [_by_gpus(node.gpus, gpus)] if gpus else []
        by_name = (int(node.named.get(name, 0) / much + 1e-9) for name, much in named.items())
        return min(node.cpus // cpus, *by_gpus, *by_name) if by_gpus or named else node.cpus // cpus

    return sum(fit(node) for node in nodes)


def most_cpus(nodes: Sequence[Node], gpus: float, trials: int, named: Mapping[str, float] = NOTHING) -> int:
    """Return the most cores of a trial with which so many of them run at a time; with one core they must fit."""
    cores = range(1, max(node.cpus for node in nodes) + 1)
    return max(cpus for cpus in cores if trials_that_fit(nodes, cpus, gpus, named) >= trials)


def amount(cpus: int, gpus: float) -> str:
    """Return `4 CPUs and 1 GPU`; without GPUs, `4 CPUs`."""
    return count(cpus, "CPU") + (f" and {count(gpus, 'GPU')}" if gpus else "")


def largest(nodes: Sequence[Node], single: str = "the only node") -> str:
    """Say what the largest nodes have: `the only node has 2 CPUs and 0 GPUs`. `single`: the name of a single node."""
    if not nodes:
        return "no node is there"
    if len(nodes) == 1:
        return f"{single} has {count(nodes[0].cpus, 'CPU')} and {count(nodes[0].gpus, 'GPU')}"
    best = {(node.cpus, node.gpus) for node in nodes if not any(_beats(other, node) for other in nodes)}
    kinds = " or ".join(f"{count(cpus, 'CPU')} and {count(gpus, 'GPU')}" for cpus, gpus in sorted(best))
    return f"the largest of {len(nodes)} nodes {'has' if len(best) == 1 else 'have'} {kinds}"


def _beats(one: Node, other: Node) -> bool:
    return one != other and one.cpus >= other.cpus and one.gpus >= other.gpus


def _by_gpus(present: int, per_trial: float) -> int:
    return int(present // per_trial) if per_trial >= 1 else present * int(1 / per_trial + 1e-9)


def count(number: float, unit: str) -> str:
    """Return `1 GPU`, `2 GPUs`."""
    return f"{number:g} {unit}{'' if number == 1 else 's'}"


def _option(nodes: Sequence[Node], needed: TrialResources) -> str:
    """Return the option that no node can fulfil, or both."""
    cpus, gpus = f"--cpus-per-trial {needed.cpus}", f"--gpus-per-trial {needed.gpus:g}"
    for name, much in needed.named.items():
        if not any(node.named.get(name, 0) >= much for node in nodes):
            return f"--resources {name}"
    if needed.gpus and not any(_by_gpus(node.gpus, needed.gpus) for node in nodes):
        return gpus
    return cpus if not trials_that_fit(nodes, needed.cpus, 0) else f"{cpus}, {gpus}"
