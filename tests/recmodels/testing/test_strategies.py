"""The contract of strategies: a good part passes, and each fault is found."""

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from recmodels.testing import check_strategy
from recmodels.training.batch_loss import BatchLoss
from recmodels.training.strategies.averaging import EMA
from recmodels.training.strategies.base import Gradient, LossTransform, Oracle, Part, Rule, Update


@dataclass(kw_only=True, eq=False)
class Scaled(LossTransform):
    """A good part: `factor` times the loss."""

    off: ClassVar = {"factor": 1.0}
    factor: float = 2.0

    def __call__(self, loss: BatchLoss, *, replay: bool) -> Tensor:
        return loss.accumulate(lambda terms: self.factor * torch.stack(list(terms.values())).sum(), replay=replay)


@dataclass(kw_only=True, eq=False)
class Unchecked(Scaled):
    def __post_init__(self) -> None:
        pass


class NoDataclass(Rule):
    def __init__(self, *, factor: float = 1.0):
        self.factor = factor


@dataclass(kw_only=True, eq=False)
class Drifting(Oracle):
    """Takes back what it added, which rounds."""

    def gradient(self, loss: BatchLoss, *, replay: bool = False) -> float:
        for sign in (1, -1):
            with torch.no_grad():
                for parameter in loss.model.parameters():
                    parameter.add_(sign * 1e4)
            value = loss(replay=replay)
        return value


@dataclass(kw_only=True, eq=False)
class Uncounted(Rule):
    def step(self, gradient: Gradient, update: Update, loss: BatchLoss) -> None:
        gradient()
        update.optimizer.step()


@dataclass(kw_only=True, eq=False)
class OtherRows(Oracle):
    def gradient(self, loss: BatchLoss, *, replay: bool = False) -> float:
        BatchLoss(loss.model, loss.rows.flip(1), counts=loss.counts)()
        return loss(replay=replay)


@dataclass(kw_only=True, eq=False)
class Idle(Rule):
    def step(self, gradient: Gradient, update: Update, loss: BatchLoss) -> None:
        gradient()


@dataclass(kw_only=True, eq=False)
class Forgetful(EMA):
    off: ClassVar = {}

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"terms": 0}


@dataclass(kw_only=True, eq=False)
class NotOff(Scaled):
    off: ClassVar = {"factor": 0.5}


@dataclass(kw_only=True, eq=False)
class Costly(Rule):
    """An extra pass does nothing, but is one."""

    off: ClassVar = {"more": 1}
    more: int = 1

    def step(self, gradient: Gradient, update: Update, loss: BatchLoss) -> None:
        gradient()
        gradient(replay=True)
        update()


def test_a_good_part_passes() -> None:
    check_strategy(Scaled)
    check_strategy(Scaled, factor=0.5)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (Unchecked, "Unchecked takes factor='1', expected a ValueError"),
        (NoDataclass, "repr of NoDataclass lacks factor: is it a dataclass?"),
        (Drifting, "the oracle did not put the weights back, bit for bit"),
        (Uncounted, r"counted are Counts\(.*steps=0.*\), but it was Counts\(.*steps=5"),
        (OtherRows, "a pass saw other rows than the batch's"),
        (Idle, "a step changed nothing"),
        (Forgetful, "the same run went on otherwise from its saved state"),
        (NotOff, "with {'factor': 0.5} it is not plain training under"),
        (Costly, "with {'more': 1} it costs more than plain training"),
    ],
)
def test_a_fault_is_found(part: type[Part], message: str) -> None:
    with pytest.raises(AssertionError, match=f"^{message}"):
        check_strategy(part)


@pytest.mark.parametrize("strategy", ["sam", Scaled])
def test_a_knob_that_it_does_not_have_is_no_silence(strategy: Any) -> None:
    with pytest.raises(ValueError, match="has no beta"):
        check_strategy(strategy, beta=0.1)
