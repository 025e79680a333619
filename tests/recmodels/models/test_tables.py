"""Tables say whose rows they hold, whatever happens to the model."""

import copy
import io
from collections.abc import Callable

import pytest
import torch
from torch import nn

from recmodels.models import MODELS, Recommender
from recmodels.testing import small_data

EXPECTED = {
    "ids": "nodes",
    "confidence": "nodes",
    "content.image.preference": "users",
    "content.text.preference": "users",
}


def pickled(model: Recommender) -> Recommender:
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


def loaded(model: Recommender) -> Recommender:
    model.load_state_dict(copy.deepcopy(model.state_dict()))
    return model


@pytest.mark.parametrize(
    "change",
    [lambda model: model, copy.deepcopy, pickled, loaded, nn.Module.double, lambda model: model.to(torch.bfloat16)],
    ids=["as made", "copied", "pickled", "loaded", "double", "to"],
)
def test_tables_outlast_what_happens_to_a_model(change: Callable[[Recommender], Recommender]) -> None:
    model = change(MODELS["GRCN"](small_data("image", "text")))
    assert model.id_tables() == EXPECTED
    assert all(type(each.detach()) is torch.Tensor for each in model.parameters())


def test_a_frozen_table_is_left_out() -> None:
    model = MODELS["GRCN"](small_data("image", "text"))
    model.ids.requires_grad_(False)
    assert model.id_tables().keys() == EXPECTED.keys() - {"ids"}
