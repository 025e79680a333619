"""The robust score against its definition, evaluated by hand."""

from statistics import fmean

import pytest
import torch

from recmodels.analysis import robust_score
from recmodels.analysis.measures import measure
from recmodels.analysis.perturbed import embedded
from recmodels.evaluation import Evaluator, evaluate
from recmodels.metric import Metric
from recmodels.models import MODELS
from tests.recmodels.factories import held_out

DATA = held_out()
METRIC = Metric("ndcg@5")


def by_hand(model: torch.nn.Module, name: str, level: float) -> float:
    evaluator, found = Evaluator(DATA, "valid", (5,)), []
    for repeat in range(3):
        perturbed = measure(name).perturb(model, DATA, level, 8, repeat)  # type: ignore[arg-type]
        found.append(evaluator(*embedded(model, DATA, perturbed))[METRIC])  # type: ignore[arg-type]
    return fmean(found)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("BPR", [("embedding", 0.2)]),
        ("BM3", [("embedding", 0.2)]),
        ("GRCN", [("embedding", 0.2), ("mix", 0.1)]),
        ("DualGNN", [("noise", 0.2), ("mix", 0.1)]),
    ],
)
def test_it_is_the_mean_over_what_reaches_the_model(name: str, expected: list[tuple[str, float]]) -> None:
    torch.manual_seed(0)
    model = MODELS[name](DATA)
    model.train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    assert robust_score(model, DATA, METRIC, seed=8) == pytest.approx(fmean(by_hand(model, *each) for each in expected))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not model.training
    assert 0 < robust_score(model, DATA, METRIC, seed=8) != evaluate(model, DATA, "valid", (5,))[METRIC]


def test_the_seed_decides_the_draws() -> None:
    torch.manual_seed(0)
    model = MODELS["BPR"](DATA)
    assert robust_score(model, DATA, METRIC, seed=1) == robust_score(model, DATA, METRIC, seed=1)
    assert len({robust_score(model, DATA, METRIC, seed) for seed in range(4)}) > 1


def test_a_model_that_nothing_perturbs_has_its_metric() -> None:
    model = MODELS["Popularity"](DATA)
    assert robust_score(model, DATA, METRIC, seed=1) == evaluate(model, DATA, "valid", (5,))[METRIC]
