"""The contract of training strategies."""

import io
from collections.abc import Iterator
from itertools import cycle
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recmodels.models.vbpr import VBPR
from recmodels.signatures import choices, keywords
from recmodels.testing.models import small_data
from recmodels.training.batch_loss import BatchLoss, Counts
from recmodels.training.optimizers import OPTIMIZERS, make_optimizer
from recmodels.training.strategies.base import Part
from recmodels.training.strategies.names import parts_of
from recmodels.training.strategies.strategy import Strategy

INVALID: dict[Any, tuple[Any, ...]] = {
    float: ("1", True, None, float("nan"), float("inf")),
    int: ("1", True, None, 1.5),
    bool: (1, "yes", None),
    str: (1, None),
}
"""Type of a knob -> values that the constructor has to refuse."""
N_BATCHES = 5
Parts = dict[str, type[Part]]
Knobs = dict[str, Any]


def check_strategy(strategy: str | type[Part], **knobs: Any) -> None:
    """Check a strategy by its name, or a part by its class, with these knobs and the others at their defaults.

    The knobs are the keywords of the constructor, which refuses wrong types with a ValueError. Passes over a batch are
    counted, see the same rows and leave finite gradients; the oracle leaves the weights as they were, in place.
    Training goes on from a saved state bit for bit. With the knobs in `off` it is plain training, bit for bit, with
    every optimiser. All of it on the CPU.

    >>> from recmodels.training.strategies.mg import MirrorGradient
    >>> check_strategy(MirrorGradient, interval=2)
    """
    classes = parts_of(strategy).values() if isinstance(strategy, str) else [strategy]
    parts = {part.layer: part for part in classes}
    if unknown := knobs.keys() - {name for part in parts.values() for name in keywords(part)}:
        raise ValueError(f"{strategy} has no {min(unknown)}")
    for part in parts.values():
        _check_knobs(part, _of(part, knobs))
    _check_passes(_Run(parts, knobs))
    _check_saved_state(parts, knobs)
    if all(part.off for part in parts.values()):
        off = {name: value for part in parts.values() for name, value in part.off.items()}
        for optimizer in OPTIMIZERS:
            plain, found = _Run({}, {}, optimizer), _Run(parts, knobs | off, optimizer)
            same = torch.equal(plain.train(0, 1), found.train(0, 1))
            assert same, f"with {off} it is not plain training under {optimizer}"
            assert found.strategy.counts == plain.strategy.counts, f"with {off} it costs more than plain training"


class _Watched(VBPR):
    """A model with tables, item features, a bias and a random draw in its loss. `seen`: the batch of each pass."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        super().__init__(small_data("image"), embedding_size=4)
        self.seen: list[Tensor] = []

    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        self.seen.append(batch)
        terms = super().loss(batch)
        return terms | {"reg": torch.rand(()) * terms["reg"]}


class _Run:
    """A small model under training."""

    def __init__(self, parts: Parts, knobs: Knobs, optimizer: str = "adam", seed: int = 0):
        self.model, self.n_steps = _Watched(), 0
        made: Any = {layer: part(**_of(part, knobs)) for layer, part in parts.items()}
        self.strategy = Strategy(self.model, **made, clip_norm=0.2, seed=seed)
        self.optimizer = make_optimizer(optimizer, self.model.parameters(), learning_rate=0.05, weight_decay=0.01)
        self.optimizer.register_step_post_hook(lambda *_: setattr(self, "n_steps", self.n_steps + 1))
        self.stateful: tuple[Any, ...] = self.model, self.optimizer, self.strategy

    def train(self, *epochs: int) -> Tensor:
        """Train these epochs, whatever came before; return the weights and the evaluation weights in one."""
        for epoch in epochs:
            for loss in self.losses(epoch):
                self.strategy.step(loss, self.optimizer)
            self.strategy.end_epoch()
        return torch.cat([each.flatten() for each in (*self.weights(), *self.strategy.weights().values())])

    def losses(self, epoch: int) -> Iterator[BatchLoss]:
        """The losses of an epoch's batches; its random draws follow from its number."""
        torch.manual_seed(epoch)
        self.strategy.new_epoch(epoch, lambda rng: map(self.strategy.loss, cycle(_batches(int(rng.integers(100))))))
        for index, rows in enumerate(_batches(epoch)):
            yield self.strategy.loss(rows, epoch=epoch, batch_index=index, step=epoch * N_BATCHES + index)

    def weights(self) -> list[Tensor]:
        return [each.detach().clone() for each in self.model.parameters()]

    def state(self) -> bytes:
        """Everything that a run goes on from, as a file holds it."""
        file = io.BytesIO()
        torch.save([each.state_dict() for each in self.stateful], file)
        return file.getvalue()

    def load(self, state: bytes) -> None:
        for each, content in zip(self.stateful, torch.load(io.BytesIO(state), weights_only=True), strict=True):
            each.load_state_dict(content)


def _of(part: type[Part], knobs: Knobs) -> Knobs:
    """Return the knobs that the part has."""
    return {name: knobs[name] for name in keywords(part) if name in knobs}


def _batches(seed: int) -> list[Tensor]:
    """Draw an epoch's batches of random triples, (3, 6) each."""
    draws = np.random.default_rng(seed)
    return [torch.from_numpy(draws.integers(0, [[13], [29], [29]], (3, 6))) for _ in range(N_BATCHES)]


def _check_knobs(part: type[Part], knobs: Knobs) -> None:
    made = part(**knobs)
    assert all(getattr(made, name) == value for name, value in knobs.items()), f"{made} does not have its knobs {knobs}"
    for name, hint in keywords(part).items():
        assert f"{name}=" in repr(made), f"repr of {part.__name__} lacks {name}: is it a dataclass?"
        for value in ("no such choice", None) if choices(hint) else INVALID.get(hint, ()):
            try:
                part(**knobs | {name: value})
            except ValueError:
                continue
            raise AssertionError(f"{part.__name__} takes {name}={value!r}, expected a ValueError")


def _check_passes(run: _Run) -> None:
    strategy, seen, parameters = run.strategy, run.model.seen, dict(run.model.named_parameters())
    for loss in run.losses(0):
        before, places, n_seen = run.weights(), [each.data_ptr() for each in parameters.values()], len(seen)
        strategy.oracle.gradient(loss)
        assert all(map(torch.equal, run.weights(), before)), "the oracle did not put the weights back, bit for bit"
        strategy.step(loss, run.optimizer)
        assert [each.data_ptr() for each in parameters.values()] == places, "weights are not where they were"
        assert all(torch.equal(rows, loss.rows) for rows in seen[n_seen:]), "a pass saw other rows than the batch's"
        assert not all(map(torch.equal, run.weights(), before)), "a step changed nothing"
        for name, parameter in parameters.items():
            assert parameter.grad is not None, f"{name} has no gradient"
            assert parameter.grad.isfinite().all(), f"the gradient of {name} is not finite"
    expected = Counts(forward=len(seen), backward=len(seen), steps=run.n_steps)
    assert strategy.counts == expected, f"counted are {strategy.counts}, but it was {expected}"
    assert all(np.isfinite([*strategy.report().values()])), f"not finite: {strategy.report()}"


def _check_saved_state(parts: Parts, knobs: Knobs) -> None:
    run, other = _Run(parts, knobs), _Run(parts, knobs, seed=1)
    run.train(0, 1)
    state = run.state()
    end = run.train(2, 3)
    for which, each in {"the same run": run, "another run": other}.items():
        each.load(state)
        assert torch.equal(each.train(2, 3), end), f"{which} went on otherwise from its saved state"
