"""Perturbations of a trained model by name and level: noise in its embeddings, and edits of the item features.

Each is a pure function of model, data, level and repeat; the same draws meet every model. Neither the level nor what
else is measured changes a draw: the noise of a larger level is that of a smaller one, scaled, and a larger share of
items has all items of a smaller share, so that a curve is smooth and a level can be added later.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from recmodels.analysis.adversarial import PGD_STEPS, Attack, attacked_features, attacked_tables
from recmodels.analysis.draws import seed_of
from recmodels.analysis.perturbed import Owners, Perturbed, id_rows, rms
from recmodels.data.corruptions import CORRUPTIONS, Draw
from recmodels.data.dataset import RecDataset, Split
from recmodels.errors import UserError, did_you_mean
from recmodels.models.base import Recommender

REBUILT = "+rebuilt"
SHARE = "share of items"
RELATIVE = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)
ABSOLUTE = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1)
SHARES = (0.0, 0.01, 0.05, 0.1, 0.2, 0.5, 1.0)
RADII = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)
NOISE = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0)

Perturb = Callable[[Recommender, RecDataset, float, Draw, Split], Perturbed]


@dataclass(frozen=True)
class Measure:
    """One way to perturb a model. `title`: what is perturbed, in a few words. `unit`: what a level is.

    `levels`: those measured by default. `reference`: the one that short tables show. `limit`: the largest level.
    `kind`: decides the draws, with seed and repeat. `modality`: the one that is edited, None: see `edited_modalities`.
    """

    name: str
    title: str
    unit: str
    levels: tuple[float, ...]
    reference: float
    limit: float
    kind: str
    modality: str | None
    perturb_by: Perturb

    def check(self, data: RecDataset) -> None:
        """Raise UserError if the measure names a modality that the data set does not have."""
        if self.kind in _FEATURES:
            edited_modalities(data, self.kind, self.modality)

    def perturb(
        self, model: Recommender, data: RecDataset, level: float, seed: int, repeat: int, split: Split = "valid"
    ) -> Perturbed:
        """Return what takes the place of the model's own at a level, in one of several draws. Level 0 alters nothing.

        `split`: whose positives an adversary knows; the others know none. UserError for features that the data lack.
        """
        return self.perturb_by(model, data, level, Draw(seed_of(seed, self.kind, repeat), self.kind), split)


def noisy_tables(
    model: Recommender, data: RecDataset, level: float, draw: Draw, split: Split, *, owners: Owners, absolute: bool
) -> Perturbed:
    """Return the embedding tables with Gaussian noise of deviation `level`, times the table's root mean square unless
    it is `absolute`: table 4 of the paper, whose deviation it does not say."""
    tables, sizes = {}, {}
    for name, rows in id_rows(model, owners).items():
        table = model.get_parameter(name).detach()
        sizes[name] = rms(table[rows])
        z = draw.generator(name).standard_normal(table[rows].shape, dtype=np.float32)
        values = table.clone()
        values[rows] += (level if absolute else level * sizes[name]) * torch.from_numpy(z).to(table)
        tables[name] = values
    return Perturbed(tables=tables, sizes=sizes)


def edited_features(
    model: Recommender,
    data: RecDataset,
    level: float,
    draw: Draw,
    split: Split,
    *,
    kind: str,
    modality: str | None,
    rebuilt: bool,
) -> Perturbed:
    """Return the features after a corruption of `recmodels.data.corruptions`."""
    corrupt = CORRUPTIONS[kind].features
    assert corrupt is not None
    features = {
        name: corrupt(data.features[name], level, draw, name) for name in edited_modalities(data, kind, modality)
    }
    return Perturbed.of_features(data, features, rebuilt)


def edited_modalities(data: RecDataset, kind: str, modality: str | None) -> list[str]:
    """Return the modalities that a measure edits: the one that is named, else all.

    Edits of texts (adjust, edit, mix) edit the texts alone, where the data set has texts. UserError for a modality that
    it does not have.
    """
    if modality is not None and modality not in data.features:
        found = ", ".join(data.features) or "no features"
        raise UserError(f"measure {kind}.{modality}: expected a modality of {data.name}, which has {found}")
    usual = CORRUPTIONS[kind].only
    chosen = modality or (usual if usual in data.features else None)
    return list(data.features) if chosen is None else [chosen]


_EMBEDDINGS: Mapping[str, tuple[str, str, tuple[float, ...], Owners, bool]] = {
    "embedding": ("noise in the item embeddings", "noise / RMS of the table", RELATIVE, "items", False),
    "embedding-absolute": ("noise in the item embeddings", "standard deviation of the noise", ABSOLUTE, "items", True),
    "embedding-all": ("noise in all embeddings", "noise / RMS of the table", RELATIVE, "users+items", False),
}
_FEATURES: Mapping[str, tuple[str, str, tuple[float, ...], float]] = {
    "mix": ("features mixed half with another item's", SHARE, SHARES, 1.0),
    "adjust": ("features replaced by another item's", SHARE, SHARES, 1.0),
    "edit": ("features moved by half their length", SHARE, SHARES, 1.0),
    "missing": ("features replaced by the mean", SHARE, SHARES, 1.0),
    "swap": ("features exchanged among items", SHARE, SHARES, 1.0),
    "noise": ("noise in the features", "noise / RMS of the features", NOISE, 100.0),
}
_ATTACKS: Mapping[str, tuple[Attack, str]] = {
    "random": ("random", "random change"),
    "fgsm": ("fgsm", "one adversarial step"),
    "pgd": ("pgd", f"{PGD_STEPS} adversarial steps"),
}
ADVERSARIAL = tuple(f"{name}-{attack}" for name in ("feature", "embedding") for attack in _ATTACKS)
NAMES = (*_EMBEDDINGS, *_FEATURES, *ADVERSARIAL)
"""The measures; edits of features may be followed by .MODALITY and then by +rebuilt."""
DEFAULT = ("embedding", "embedding-absolute", "mix", "missing", "noise")


def measure(text: str) -> Measure:
    """Return the measure of a name, such as "embedding", "mix", "noise.image" or "mix.text+rebuilt".

    UserError, one line, for another name. "+rebuilt": graphs between items are made again from the altered features.
    """
    base, rebuilt = text.removesuffix(REBUILT), text.endswith(REBUILT)
    kind, _, modality = base.partition(".")
    if kind in _EMBEDDINGS and kind == text:
        title, unit, levels, owners, absolute = _EMBEDDINGS[kind]
        # The same noise in all three: the absolute view is another axis, not another draw.
        make: Perturb = partial(noisy_tables, owners=owners, absolute=absolute)
        return Measure(text, title, unit, levels, 0.01 if absolute else 0.2, 100.0, "embedding", None, make)
    if kind in _FEATURES and (modality or "." not in base):
        title, unit, levels, limit = _FEATURES[kind]
        title += f" ({modality})" * bool(modality) + ", item graph rebuilt" * rebuilt
        make = partial(edited_features, kind=kind, modality=modality or None, rebuilt=rebuilt)
        return Measure(text, title, unit, levels, 0.1 if unit == SHARE else 0.2, limit, kind, modality or None, make)
    if text in ADVERSARIAL:
        what, _, name = text.partition("-")
        attack, title = _ATTACKS[name]
        attacked = attacked_features if what == "feature" else attacked_tables
        title = f"{title} of each item's {'features' if what == 'feature' else 'embedding'}"
        # The same items to compare with, and the same start, for all attacks.
        kind, make = f"adversarial {what}", partial(attacked, attack=attack)
        return Measure(text, title, "length of the change / length of the row", RADII, 0.05, 100.0, kind, None, make)
    expected = f"{', '.join(NAMES)}, edits of features with .MODALITY or {REBUILT} behind"
    near = did_you_mean(kind, NAMES) if kind not in NAMES else ""
    raise UserError(f"measure {text!r}: expected one of {expected}{near}")
