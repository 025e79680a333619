"""The perturbing strategies beside their authors' own programs, and where they differ by choice."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmodels.models import Recommender
from recmodels.training import make_optimizer, make_strategy
from tests.recmodels.reference import FOLDER
from tests.recmodels.training.strategies.toys import ROWS, Smooth, flat, optimizer_of, run, watched

GOLDEN: dict[str, Any] = json.loads((FOLDER / "strategies.json").read_text())
"""Weights [w1, w2, b] after 20 full-batch steps of the authors' public implementations, in float64.

Keys are a strategy's name, its knobs, which have the names of ours, and the optimiser.
"""


class Classifier(Recommender):
    """A linear map of two numbers, trained by the mean of softplus(-sign * z) over all of its rows."""

    def __init__(self) -> None:
        super().__init__(SimpleNamespace(n_users=1, n_items=2))
        problem = {key: torch.tensor(GOLDEN["problem"][key], dtype=torch.float64) for key in ("rows", "signs")}
        self.rows, self.signs = problem["rows"], problem["signs"]
        self.linear = nn.Linear(2, 1, dtype=torch.float64)
        with torch.no_grad():
            for name, each in self.linear.named_parameters():
                each.copy_(torch.tensor(GOLDEN["problem"][name], dtype=torch.float64))

    def embed(self) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        return {"loss": F.softplus(-self.signs * self.linear(self.rows).squeeze(1)).mean()}


@pytest.mark.parametrize("case", GOLDEN["weights"])
def test_twenty_steps_of_the_authors_program(case: str) -> None:
    name, *words = case.split()
    knobs = {knob: float(value) for knob, equals, value in (word.partition("=") for word in words) if equals}
    kind = " ".join(word for word in words if "=" not in word)
    model = Classifier()
    optimizer = make_optimizer(kind.partition("+")[0], model.parameters(), **GOLDEN["optimizers"][kind])
    run(make_strategy(name, model, knobs), optimizer, [ROWS] * 20)
    expected = torch.tensor(GOLDEN["weights"][case], dtype=torch.float64)
    torch.testing.assert_close(flat(model), expected, rtol=1e-9, atol=0)


class Bowl(Recommender):
    """(x^2 + 4 y^2) / 2 at (1, 0.5)."""

    def __init__(self) -> None:
        super().__init__(SimpleNamespace(n_users=1, n_items=2))
        self.point = nn.Parameter(torch.tensor([1.0, 0.5], dtype=torch.float64))

    def embed(self) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        return {"loss": (self.point.square() * torch.tensor([1.0, 4.0])).sum() / 2}


def test_the_gradient_norm_penalty_mixes_the_gradient_as_its_paper_does() -> None:
    """The authors' program mixes g / ||g|| by default, which would give (0.925220, 2.065102)."""
    model = Bowl()
    strategy = make_strategy("gnp", model, {"r": 0.1, "c": 0.8})
    strategy.oracle.gradient(strategy.loss(ROWS))
    assert model.point.grad.tolist() == pytest.approx([1.035777, 2.286217], abs=1e-6)


def test_a_new_mask_holds_for_the_batch_whose_gradient_made_it() -> None:
    """The authors' program still perturbs that batch by the mask before."""
    model = Smooth()
    strategy = make_strategy("ssam_d", model, {"d0": 0.5})
    before, seen = strategy.oracle.mask.clone(), watched(model)
    run(strategy, optimizer_of("sgd", model))
    (_, here), (_, there) = seen
    assert torch.equal(here != there, strategy.oracle.mask)
    assert not torch.equal(strategy.oracle.mask, before)
