"""The loss of one batch as strategies see it: called at one set of weights after another."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import KW_ONLY, astuple, dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from recmodels.models.base import Recommender

Terms = Mapping[str, Tensor]
Precision = Literal["fp32", "bf16"]
"""Of the forward pass: float32 throughout, or torch's autocast to bfloat16, which has float32's range."""
Scalar = float | Tensor
"""A number, or the tensor () that holds it where it is not read yet."""


class BadStep(Exception):
    """A loss or a gradient is not finite; the message says which, and in which batch."""


@dataclass
class Counts:
    """The cost of training: forward and backward passes over a batch, steps of the optimiser; batches skipped.

    One forward and one backward pass together are a cost unit.
    """

    forward: int = 0
    backward: int = 0
    steps: int = 0
    skipped: int = 0

    def __sub__(self, before: "Counts") -> "Counts":
        return Counts(*(now - then for now, then in zip(astuple(self), astuple(before), strict=True)))


def total(terms: Terms) -> Tensor:
    """Return the loss: the sum of its named terms."""
    return torch.stack(list(terms.values())).sum()


def unpenalised(terms: Terms) -> Tensor:
    """Return the loss without the model's penalty of its weights, the term "reg"."""
    return total({name: term for name, term in terms.items() if name != "reg"})


class Transform(Protocol):
    """Adds the gradient of the trained loss to the parameters' gradients; returns the model's loss, a scalar."""

    def __call__(self, loss: "BatchLoss", *, replay: bool) -> Tensor: ...


@dataclass(eq=False, repr=False)
class BatchLoss:
    """Calling it clears the gradients, evaluates the batch's loss at the current weights and runs the backward pass.

    `rows`: users, positives and negatives (3, B), the same in every call. `counts` takes the passes. `transform` turns
    the model's loss into the one that is trained; None: they are the same. `epoch`, `batch_index` and `step` count from
    0: the epoch, the batch in its epoch, the batch in the whole training. `precision`: of the forward pass; weights,
    gradients and the terms of the loss are float32 with either.
    `value`, `terms`: the model's loss and its named terms in the first call, which is at the weights before the step;
    `value` is None before that call, and stays None if it was not finite. `gradient_norm`: in the last call.
    `unread`: None, and every number is read at once; or a list, see `unread_on`, which takes the numbers that decide
    whether the batch is good. None of them is read: the batch is taken for a good one, and whoever gave the list has to
    look. If one of the numbers is not finite, what was done since is void.
    """

    model: Recommender
    rows: Tensor
    counts: Counts = field(default_factory=Counts)
    transform: Transform | None = None
    _: KW_ONLY
    epoch: int = 0
    batch_index: int = 0
    step: int = 0
    unread: list[Tensor] | None = None
    precision: Precision = "fp32"
    value: Scalar | None = field(default=None, init=False)
    terms: dict[str, Tensor] = field(default_factory=dict, init=False)
    gradient_norm: Scalar = field(default=0.0, init=False)
    _generators: "_Generators | None" = field(default=None, init=False)

    def __call__(self, *, replay: bool = False) -> Scalar:
        """Return the loss of the model. `replay`: repeat the random draws of the last call without `replay`, and leave
        the generators as they were. Raises BadStep unless the loss and the norm of its gradient are finite."""
        self.model.zero_grad()
        loss = self.transform(self, replay=replay) if self.transform else self.accumulate(replay=replay)
        gradients = [gradient for _, gradient in self.gradients()]
        value, self.gradient_norm = self.read(loss, get_total_norm(gradients).to(loss))
        for what, found in (("loss", value), ("gradient", self.gradient_norm)):
            if not self.usable(found):
                raise BadStep(f"the {what} became {found} in batch {self.batch_index + 1} of epoch {self.epoch + 1}")
        self.value = value if self.value is None else self.value
        return value

    def read(self, *numbers: Tensor) -> list[Scalar]:
        """Return the numbers of tensors (), with one wait for all of them; with `unread` the tensors as they are."""
        return list(numbers) if self.unread is not None else torch.stack(numbers).tolist()

    def usable(self, number: Scalar, above: float | None = None) -> bool:
        """Return whether a number is finite and larger than `above`. Of one that is not read this is assumed, and
        `unread` takes a number that is finite if it is true."""
        if isinstance(number, Tensor):
            assert self.unread is not None
            self.unread.append(number if above is None else torch.where(number > above, number, torch.nan))
            return True
        return math.isfinite(number) and (above is None or number > above)

    def accumulate(
        self, objective: Callable[[Terms], Tensor] = total, *, replay: bool = False, leaves: Sequence[Tensor] = ()
    ) -> Tensor:
        """Run one forward pass, and one backward pass of `objective`, added to the gradients; return the sum of the
        terms. Running statistics follow only the first pass over the batch: the others are at weights that are not
        kept. `leaves`: tensors that the loss reads beside the parameters; their `grad` is of the unpenalised loss, or
        None if that does not read them."""
        draws: AbstractContextManager[None] = nullcontext()
        if replay and self._generators:
            draws = self._generators.replayed()
        else:
            self._generators = _Generators(self.rows.device)
        with draws, _frozen_statistics(self.model) if self.terms else nullcontext():
            terms = self._terms()
            trained = objective(terms)
            if "reg" in terms and _reads(terms["reg"], leaves):
                torch.autograd.backward(unpenalised(terms), inputs=leaves, retain_graph=True)
                weights = [each for each in self.model.parameters() if each.requires_grad]
                torch.autograd.backward(trained, inputs=weights)
            else:
                trained.backward()
        self.counts.forward += 1
        self.counts.backward += 1
        terms = {name: term.detach() for name, term in terms.items()}
        self.terms = self.terms or terms
        return total(terms)

    def _terms(self) -> Terms:
        """Run the forward pass."""
        loss = self.model.later_loss if self.batch_index else self.model.loss
        if self.precision == "fp32":
            return loss(self.rows)
        with torch.autocast(self.rows.device.type, torch.bfloat16):
            return {name: term.float() for name, term in loss(self.rows).items()}

    def gradients(self) -> Iterator[tuple[nn.Parameter, Tensor]]:
        """Yield each parameter that has a gradient, and the gradient, made dense if it is sparse."""
        for parameter in self.model.parameters():
            if parameter.grad is not None:
                if parameter.grad.is_sparse:
                    parameter.grad = parameter.grad.to_dense()
                yield parameter, parameter.grad


def unread_on(device: torch.device) -> list[Tensor] | None:
    """Return a new list for the numbers that are to be read later on a GPU, which stands still while the host waits for
    one; None on the CPU, where they are at hand."""
    return [] if device.type == "cuda" else None


Batches = Callable[[np.random.Generator], Iterator[BatchLoss]]
"""Batches without end in the order that the generator draws, for parts that measure the loss beside the training."""


class _Generators:
    """The states of torch's generators now: the CPU's, from which single numbers are drawn, and the device's."""

    def __init__(self, device: torch.device):
        self.devices = [device] if device.type == "cuda" else []
        self.cpu, self.cuda = torch.get_rng_state(), [torch.cuda.get_rng_state(each) for each in self.devices]

    @contextmanager
    def replayed(self) -> Iterator[None]:
        """Inside, the generators start from these states; afterwards they are as before."""
        with torch.random.fork_rng(self.devices):
            torch.set_rng_state(self.cpu)
            for device, state in zip(self.devices, self.cuda, strict=True):
                torch.cuda.set_rng_state(state, device)
            yield


def _reads(term: Tensor, leaves: Sequence[Tensor]) -> bool:
    """Return whether the term's graph has one of the leaves. Much cheaper than a gradient of the term."""
    nodes, seen = [term.grad_fn], set()
    while nodes and leaves:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        if any(getattr(node, "variable", None) is leaf for leaf in leaves):
            return True
        seen.add(node)
        nodes.extend(further for further, _ in node.next_functions)
    return False


@contextmanager
def without_side_effects(model: nn.Module) -> Iterator[None]:
    """Passes inside change neither the random draws of training nor running statistics."""
    devices = {parameter.device for parameter in model.parameters() if parameter.is_cuda}
    with torch.random.fork_rng(devices), _frozen_statistics(model):
        yield


@contextmanager
def _frozen_statistics(model: nn.Module) -> Iterator[None]:
    layers: list[Any] = [module for module in model.modules() if getattr(module, "track_running_stats", False)]
    for layer in layers:
        layer.track_running_stats = False
    try:
        yield
    finally:
        for layer in layers:
            layer.track_running_stats = True
