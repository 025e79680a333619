"""Mixed precision: the forward pass in bfloat16; weights, gradients, the loss and the evaluation in float32."""

from typing import Any

import pytest
import torch
from torch import Tensor

from recmodels.models import MODELS
from recmodels.ops import unit_rows
from recmodels.training import make_optimizer, make_strategy
from tests.recmodels.models.test_contract import BATCH, TRAINED, batch_of, make
from tests.recmodels.models.test_contract import made as small_data
from tuning.space.catalogue import search_space

DATA = small_data("image", "text")
WITHOUT_PRODUCTS = ("BPR", "LayerGCN", "LightGCN")
"""The models whose loss has no dense matrix product."""


def gradients(name: str, strategy: str = "plain", **options: Any) -> tuple[dict[str, Tensor], list[Tensor]]:
    """The named terms of one batch's loss, and the gradients of the parameters in order."""
    model = make(name, DATA)
    loss = make_strategy(strategy, model, **options).loss(batch_of(model))
    torch.manual_seed(0)
    model.new_epoch()
    loss()
    return loss.terms, [gradient for _, gradient in loss.gradients()]


@pytest.mark.parametrize("name", TRAINED)
def test_every_model_trains_in_bf16_near_its_gradients_in_fp32(name: str) -> None:
    (terms, full), (mixed_terms, mixed) = gradients(name), gradients(name, precision="bf16")
    assert mixed_terms.keys() == terms.keys()
    for key, term in mixed_terms.items():
        assert term.dtype == torch.float32
        torch.testing.assert_close(term, terms[key], rtol=0.02, atol=0.02)
    assert {gradient.dtype for gradient in mixed} == {torch.float32}
    far = sum(float((one - other).square().sum()) for one, other in zip(mixed, full, strict=True))
    assert far < 0.05**2 * sum(float(gradient.square().sum()) for gradient in full)
    assert (far > 0) == (name not in WITHOUT_PRODUCTS), "only dense products are computed in bf16"


@pytest.mark.parametrize("strategy", ["mg", "sam+mg+ema", "gnp", "ssam_f", "bsam", "amr"])
@pytest.mark.parametrize("name", ["VBPR", "MMGCN", "SLMRec", "FREEDOM"])
def test_strategies_step_in_bf16(name: str, strategy: str) -> None:
    model = make(name, DATA)
    made = make_strategy(strategy, model, precision="bf16")
    optimizer = make_optimizer("adam", model.parameters(), learning_rate=1e-3)
    before = [each.detach().clone() for each in model.parameters()]
    made.new_epoch(0, lambda rng: iter([made.loss(batch_of(model))] * 4))
    model.new_epoch()
    made.step(made.loss(batch_of(model)), optimizer)
    made.end_epoch()
    assert made.counts.skipped == 0
    assert not all(map(torch.equal, before, model.parameters()))
    assert {each.dtype for each in (*model.parameters(), *made.weights().values())} <= {torch.float32, torch.int64}
    with made.evaluation_weights(), torch.no_grad():
        assert {each.dtype for each in model.embed()} == {torch.float32}


def test_fp32_is_the_default_and_leaves_autocast_alone() -> None:
    seen = []

    class Watched(MODELS["BPR"]):  # type: ignore[misc]
        def loss(self, batch: Tensor) -> dict[str, Tensor]:
            seen.append(torch.is_autocast_enabled("cpu"))
            return super().loss(batch)  # type: ignore[no-any-return]

    for options in ({}, {"precision": "fp32"}, {"precision": "bf16"}):
        make_strategy("plain", Watched(DATA), **options).loss(BATCH)()
    assert seen == [False, False, True]


def test_fast_operations_take_bf16_and_compute_in_fp32() -> None:
    rows = torch.randn(5, 3).bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        unit = unit_rows(rows)
    assert unit.dtype == torch.float32
    unit.sum().backward()
    assert rows.grad is not None
    assert rows.grad.dtype == torch.bfloat16


def test_another_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="precision must be one of fp32, bf16, but got 'fp16'"):
        make_strategy("plain", make("BPR", DATA), precision="fp16")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^--set precision=fp16: precision must be one of fp32, bf16"):
        search_space("VBPR", "mg", "demo", overrides=["precision=fp16"])
    space = search_space("VBPR", "mg", "demo", overrides=["precision=bf16"])
    assert space.resolve(space.default_point() or {})["train"]["precision"] == "bf16"
