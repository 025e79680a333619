"""The worst small change of item features or item embeddings that gradients find: an upper bound on the damage.

An adversary maximises the ranking loss of a split's own positives, sum of softplus(-(y_ui - y_uj)) over each positive
and a drawn item j, within a ball around each row: of radius `level` times the row's length. It knows the positives, so
it says nothing for a choice unless the split is validation.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from recmodels.analysis.perturbed import Perturbed, id_rows, in_place_of, read_features, rms
from recmodels.data.corruptions import Draw
from recmodels.data.dataset import RecDataset, Split
from recmodels.models.base import Recommender
from recmodels.models.parts.item_features import shifted

Attack = Literal["random", "fgsm", "pgd"]
"""A random direction; one step along the gradient's row (Goodfellow et al., ICLR 2015, with the l2 norm); PGD_STEPS
projected steps from a random start (Madry et al., ICLR 2018), of which, and of the one step, the worst is kept."""
PGD_STEPS, PGD_LENGTH = 10, 2.5
"""Number of steps, and their length together over the radius."""

Rise = Callable[[Sequence[Tensor]], tuple[float, list[Tensor]]]
"""Of changes (n, D) of some tables: the ranking loss there, and its gradients."""


def attacked_features(
    model: Recommender, data: RecDataset, level: float, draw: Draw, split: Split, *, attack: Attack
) -> Perturbed:
    """Return features, of all modalities that the model reads as they are in the data, under an attack."""
    read, items = read_features(model, data), torch.arange(data.n_items, device=model.device)
    triples = triples_of(data, split, draw).to(model.device)
    tables = [table for _, table in read]

    def rise(deltas: Sequence[Tensor]) -> tuple[float, list[Tensor]]:
        leaves = [delta.detach().requires_grad_() for delta in deltas]
        with torch.enable_grad(), shifted(tables, items, leaves):
            return _gradients(ranking_loss(model, triples), leaves)

    deltas = worst([table.table for table in tables], level, draw, attack, rise)
    changed = {
        name: data.features[name] + delta.cpu().numpy().astype(np.float32)
        for (name, _), delta in zip(read, deltas, strict=True)
    }
    return Perturbed.of_features(data, changed)


def attacked_tables(
    model: Recommender, data: RecDataset, level: float, draw: Draw, split: Split, *, attack: Attack
) -> Perturbed:
    """Return the item embeddings under an attack."""
    rows = id_rows(model)
    parameters = [model.get_parameter(name) for name in rows]
    before = [parameter.detach().clone() for parameter in parameters]
    own = [values[part] for values, part in zip(before, rows.values(), strict=True)]
    triples = triples_of(data, split, draw).to(model.device)

    def moved(deltas: Sequence[Tensor]) -> dict[str, Tensor]:
        tables = {name: values.clone() for name, values in zip(rows, before, strict=True)}
        for (name, part), delta in zip(rows.items(), deltas, strict=True):
            tables[name][part] += delta
        return tables

    def rise(deltas: Sequence[Tensor]) -> tuple[float, list[Tensor]]:
        with torch.enable_grad(), in_place_of(model, data, Perturbed(tables=moved(deltas))):
            loss, gradients = _gradients(ranking_loss(model, triples), parameters)
        return loss, [gradient[part] for gradient, part in zip(gradients, rows.values(), strict=True)]

    deltas = worst(own, level, draw, attack, rise)
    sizes = {name: rms(values) for name, values in zip(rows, own, strict=True)}
    return Perturbed(tables=moved(deltas), sizes=sizes)


def worst(own: Sequence[Tensor], level: float, draw: Draw, attack: Attack, rise: Rise) -> list[Tensor]:
    """Return changes of the tables `own` (n, D), none longer than `level` times its row, by an attack.

    A row whose gradient is 0 stays as it is after one step.
    """
    radii = [level * values.norm(dim=1, keepdim=True) for values in own]
    zeros = [torch.zeros_like(values) for values in own]
    if not own or level == 0:
        return zeros
    if attack != "random":
        one_step = [radius * _unit(gradient) for radius, gradient in zip(radii, rise(zeros)[1], strict=True)]
        if attack == "fgsm":
            return one_step
    start = [
        radius
        * _unit(torch.from_numpy(draw.generator(f"start {place}").standard_normal(radius_of.shape)).to(radius_of))
        for place, (radius, radius_of) in enumerate(zip(radii, own, strict=True))
    ]
    if attack == "random":
        return start
    inside = draw.generator("inside").random()  # how far from the centre
    deltas = [inside * delta for delta in start]
    found = [(rise(one_step)[0], one_step)]
    for _ in range(PGD_STEPS):
        loss, gradients = rise(deltas)
        found.append((loss, deltas))
        steps = [
            delta + PGD_LENGTH / PGD_STEPS * radius * _unit(gradient)
            for delta, radius, gradient in zip(deltas, radii, gradients, strict=True)
        ]
        deltas = [_within(delta, radius) for delta, radius in zip(steps, radii, strict=True)]
    found.append((rise(deltas)[0], deltas))
    return max(found, key=lambda each: each[0])[1]


def triples_of(data: RecDataset, split: Split, draw: Draw) -> Tensor:
    """Return (3, P): each pair of a split, and an item drawn for it that is neither among the user's training items nor
    the split's own, where one of 20 draws finds such an item."""
    held = data.valid if split == "valid" else data.test
    known = np.concatenate([part.users * data.n_items + part.items for part in (data.train, held)])
    rng, users = draw.generator("negatives"), held.users
    negatives = rng.integers(data.n_items, size=len(users))
    for _ in range(20):
        again = np.isin(users * data.n_items + negatives, known).nonzero()[0]
        negatives[again] = rng.integers(data.n_items, size=len(again))
    return torch.from_numpy(np.stack([users, held.items, negatives]))


def ranking_loss(model: Recommender, triples: Tensor) -> Tensor:
    """Return the sum of softplus(-margin) over triples (3, P), with gradients, ()."""
    users, items = model.embed()
    user, positive, negative = triples
    margins = (users.index_select(0, user) * (items.index_select(0, positive) - items.index_select(0, negative))).sum(1)
    return F.softplus(-margins).sum()


def _gradients(loss: Tensor, of: Sequence[Tensor]) -> tuple[float, list[Tensor]]:
    if not loss.requires_grad:  # the scores do not depend on any of them
        return float(loss.detach()), [torch.zeros_like(each) for each in of]
    found = torch.autograd.grad(loss, list(of), allow_unused=True)
    return float(loss.detach()), [torch.zeros_like(each) if g is None else g for each, g in zip(of, found, strict=True)]


def _unit(rows: Tensor) -> Tensor:
    """Return rows (n, D) at length 1; rows of zeros as they are."""
    norms = rows.norm(dim=1, keepdim=True)
    return rows / norms.where(norms > 0, torch.ones_like(norms))


def _within(rows: Tensor, radii: Tensor) -> Tensor:
    """Return rows (n, D), those that are longer than their radius (n, 1) cut to it."""
    norms = rows.norm(dim=1, keepdim=True)
    return torch.where(norms > radii, rows * (radii / norms.clamp_min(1e-30)), rows)
