"""The contract of a model as one check."""

import inspect
import random
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recmodels.analysis.perturbed import has_item_graph
from recmodels.data.dataset import Interactions, RecDataset
from recmodels.data.sampling import BatchSampler
from recmodels.errors import DataError
from recmodels.models.base import Recommender
from recmodels.models.parts.item_features import feature_tables
from recmodels.signatures import keywords


def small_data(*modalities: str) -> RecDataset:
    """Return 13 users, one of them without a training pair, 29 items, and the features named: image, text or audio.

    The sizes tell users, items and both together apart. All splits are the same.
    """
    rng = np.random.default_rng(0)
    has = rng.random((13, 29)) < 0.3
    has[6] = False
    features = {name: rng.standard_normal((29, width)) for name, width in (("image", 10), ("text", 8), ("audio", 5))}
    users, items = np.nonzero(has)
    pairs = Interactions.from_pairs(users, items, 13)
    chosen = {name: features[name].astype(np.float32) for name in modalities}
    name = f"small-{'-'.join(modalities)}"
    return RecDataset(name, 13, 29, pairs, pairs, pairs, chosen, name)


def check_model(model: type[Recommender], data: RecDataset | None = None, /, **hyper: Any) -> None:
    """Raise AssertionError, with a message, unless `model` keeps the contract of a Recommender at these keywords.

    `data`: `small_data` of images and texts if it is left out; other data should have as telling sizes.

    >>> from recmodels.models import MODELS
    >>> check_model(MODELS["LightGCN"], embedding_size=8, n_layers=1)
    """
    data = data or small_data("image", "text")
    _check_signature(model, hyper)
    made = _check_constructor(model, data, hyper)
    _check_tables(made)
    _check_scores(made)
    if model.trains:
        _check_loss(made, data)
    _check_saving(made, _made(model, data, hyper, seed=1))
    _check_renaming(_made(model, data, hyper), data, hyper)
    if not (model.reads_features or has_item_graph(made)):
        _check_bare(model, data, hyper)


def _check_bare(model: type[Recommender], data: RecDataset, hyper: dict[str, Any]) -> None:
    try:
        without = _made(model, replace(data, features={}, fingerprint=f"{data.fingerprint}-bare"), hyper)
    except DataError:  # the features are asked for when the model is made, and its loss reads none
        return
    same = torch.equal(_scores(without), _scores(_made(model, data, hyper)))
    assert same, "reads_features is False, but the scores depend on the features"


def _made(model: type[Recommender], data: RecDataset, hyper: dict[str, Any], seed: int = 0) -> Recommender:
    torch.manual_seed(seed)
    return model(data, **hyper)


def _check_signature(model: type[Recommender], hyper: dict[str, Any]) -> None:
    for each in list(inspect.signature(model).parameters.values())[1:]:
        assert each.kind is each.KEYWORD_ONLY, f"{each.name} must be a keyword: the keywords are the hyper-parameters"
        assert each.annotation is not each.empty, f"{each.name} must have a type hint"
        assert each.default is not each.empty, f"{each.name} must have a default"
    unknown = hyper.keys() - keywords(model).keys()
    assert not unknown, f"{model.__name__} has no hyper-parameter {', '.join(unknown)}"


def _check_constructor(model: type[Recommender], data: RecDataset, hyper: dict[str, Any]) -> Recommender:
    before = random.getstate(), repr(np.random.get_state())
    made, again = _made(model, data, hyper), _made(model, data, hyper)
    untouched = before == (random.getstate(), repr(np.random.get_state()))
    assert untouched, "the constructor must draw from torch's generator alone, but used another one"
    for (name, one), other in zip(made.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(one, other), f"{name} must follow from torch's seed"
    return made


def _check_tables(model: Recommender) -> None:
    trained = {name: each for name, each in model.named_parameters() if each.requires_grad}
    assert model.trains == bool(trained), f"trains is {model.trains}, but there are {len(trained)} trained parameters"
    kinds = {model.n_users: "users", model.n_items: "items", model.n_users + model.n_items: "nodes"}
    by_size = {name: kinds[len(each)] for name, each in trained.items() if each.ndim and len(each) in kinds}
    tables = model.id_tables()
    for name in sorted(by_size.keys() | tables.keys()):
        declared, expected = tables.get(name), by_size.get(name)
        assert declared == expected, f"{name} is declared as a table of {declared}, but its size is that of {expected}"
    reads = bool(feature_tables(model))
    assert model.reads_features == reads, f"reads_features is {model.reads_features}, ItemFeatures inside: {reads}"


def _check_scores(model: Recommender) -> None:
    with torch.no_grad():
        users, items = model.embed()
    shapes = f"users {tuple(users.shape)} and items {tuple(items.shape)}"
    right = (users.shape, items.shape) == ((model.n_users, users.shape[-1]), (model.n_items, users.shape[-1]))
    assert right, f"embed: wrong shapes, {shapes}"
    scores = users @ items.T
    assert scores.isfinite().all(), "embed: scores are not finite"
    assert scores.std() > 0, "embed: all scores are equal"
    chosen = torch.tensor([2, 0])
    same = torch.allclose(model.scorer()(chosen).t(), scores[chosen], rtol=1e-4, atol=1e-5)
    assert same, "scorer: the scores are not the inner products of embed"


def _check_loss(model: Recommender, data: RecDataset) -> None:
    model.new_epoch()
    batches = BatchSampler(data, 32, negatives=model.needs_negatives).epoch(np.random.default_rng(0))
    for index, rows in enumerate(batches):
        batch, loss = torch.from_numpy(rows), model.later_loss if index else model.loss
        torch.manual_seed(0)
        terms = loss(batch)
        assert terms, "loss: there is no term"
        for name, term in terms.items():
            assert term.ndim == 0, f"loss: {name} must be a scalar, but has shape {tuple(term.shape)}"
            assert term.isfinite(), f"loss: {name} is not finite"
        torch.manual_seed(0)
        total = torch.stack([*terms.values()]).sum()
        same = torch.equal(torch.stack([*loss(batch).values()]).sum(), total)
        assert same, "loss: must follow from torch's seed within an epoch"
        model.zero_grad()
        total.backward()
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                assert parameter.grad is not None, f"loss: {name} has no gradient"
                assert parameter.grad.isfinite().all(), f"loss: the gradient of {name} is not finite"


def _check_saving(model: Recommender, other: Recommender) -> None:
    model.new_epoch()
    other.load_state_dict(model.state_dict())
    assert torch.equal(_scores(other), _scores(model)), "the scores must follow from the state dict"


def _check_renaming(model: Recommender, data: RecDataset, hyper: dict[str, Any]) -> None:
    new = np.random.default_rng(5).permutation(data.n_items)  # item i is called new[i]
    old = np.argsort(new)
    train = Interactions.from_pairs(data.train.users, new[data.train.items], data.n_users)
    features = {name: matrix[old] for name, matrix in data.features.items()}
    changed = replace(data, train=train, features=features, fingerprint=f"{data.fingerprint}-renamed")
    renamed = _made(type(model), changed, hyper)
    nodes = np.concatenate([np.arange(data.n_users), data.n_users + old])
    orders = {len(order): torch.from_numpy(order) for order in (old, nodes)}
    weights = model.state_dict()
    for name, tensor in weights.items():
        if tensor.ndim and len(tensor) in orders:
            weights[name] = tensor[orders[len(tensor)]]
    renamed.load_state_dict(weights)
    same = torch.allclose(_scores(renamed)[:, new], _scores(model), rtol=1e-4, atol=1e-5)
    assert same, "renamed items must have renamed scores"
    if model.trains:
        rng = np.random.default_rng(0)
        batch = torch.from_numpy(next(BatchSampler(data, 32, negatives=model.needs_negatives).epoch(rng)))
        loss, of_new = _loss(model, batch), torch.cat([batch[:1], torch.from_numpy(new)[batch[1:]]])
        same = torch.allclose(_loss(renamed, of_new), loss, rtol=1e-4, atol=1e-5)
        assert same or loss != _loss(model, batch), "renamed items must have the same loss"  # unless it draws


def _scores(model: Recommender) -> Tensor:
    with torch.no_grad():
        users, items = model.embed()
    return users @ items.T


def _loss(model: Recommender, batch: Tensor) -> Tensor:
    return torch.stack([*model.loss(batch).values()]).sum()
