"""Corrupted variants of a data set, such as `tiktok@noise=0.1,missing=0.2,seed=3`.

A variant is made when it is loaded, from the clean data set and a seed alone. Corruptions of features leave the splits
as they are, `fake` only adds to training, `shift` only removes from validation and test. A larger share alters all that
a smaller one alters, and level 0 is the clean data. The draws of a corruption follow from the seed and its name, so
that another corruption before or after it does not change them.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.random import PCG64, Generator
from numpy.typing import NDArray

from recmodels.data.dataset import Floats, Interactions, Ints, RecDataset, Split
from recmodels.errors import DataError, did_you_mean

MARK = "@"
MOST_SEED = 2**31 - 1
DRAWS = 2**16  # fake interactions that are drawn at a time; a part of their definition


def noise(matrix: Floats, level: float, draw: "Draw", modality: str) -> Floats:
    """Add to every entry a standard normal number times `level` times the matrix's root mean square."""
    if level == 0:
        return matrix  # to the sign of its zeros
    z = draw.generator(modality).standard_normal(matrix.shape, dtype=np.float32)
    z *= np.float32(level * np.sqrt(np.einsum("ij,ij->", matrix, matrix, dtype=np.float64) / matrix.size))
    z += matrix
    return z


def snr(matrix: Floats, decibels: float, draw: "Draw", modality: str) -> Floats:
    """Add noise at this ratio of the signal's power to the noise's, in decibels: 20 is noise=0.1."""
    return noise(matrix, 10 ** (-decibels / 20), draw, modality)


def missing(matrix: Floats, share: float, draw: "Draw", modality: str) -> Floats:
    """Give a share of the items the mean row, as items without an image have in the folders that come with MMRec."""
    return _with_rows(matrix, draw.items(len(matrix), share), matrix.mean(axis=0, dtype=np.float64))


def swap(matrix: Floats, share: float, draw: "Draw", modality: str) -> Floats:
    """Exchange the rows of a share of the items in a circle: each gets another's row if there are two or more."""
    chosen = draw.items(len(matrix), share)
    return _with_rows(matrix, chosen, matrix[np.roll(chosen, 1)])


def adjust(matrix: Floats, share: float, draw: "Draw", modality: str) -> Floats:
    """Give a share of the items the row of another item, drawn uniformly: replaced text."""
    chosen, others = draw.items_and_others(len(matrix), share)
    return _with_rows(matrix, chosen, matrix[others])


def mix(matrix: Floats, share: float, draw: "Draw", modality: str) -> Floats:
    """Give a share of the items the mean of their row and another's, scaled to the length of their row: added text."""
    chosen, others = draw.items_and_others(len(matrix), share)
    own = matrix[chosen].astype(np.float64)
    mean = (own + matrix[others]) / 2
    length, mean_length = (np.sqrt((rows**2).sum(axis=1, keepdims=True)) for rows in (own, mean))
    return _with_rows(matrix, chosen, mean * (length / np.where(mean_length > 0, mean_length, 1)))


def edit(matrix: Floats, share: float, draw: "Draw", modality: str) -> Floats:
    """Move the rows of a share of the items by half their length, each in a direction of its own: changed text."""
    chosen = draw.items(len(matrix), share)
    own = matrix[chosen].astype(np.float64)
    z = draw.generator(modality).standard_normal(matrix.shape, dtype=np.float32)[
        chosen
    ]  # all, so that shares are nested
    length, z_length = (np.sqrt((rows.astype(np.float64) ** 2).sum(axis=1, keepdims=True)) for rows in (own, z))
    return _with_rows(matrix, chosen, own + z * (length / (2 * z_length)))


def _with_rows(matrix: Floats, chosen: Ints, rows: NDArray[np.floating]) -> Floats:
    """Return a copy of the matrix with these `rows` in place of the chosen ones."""
    changed = matrix.copy()
    changed[chosen] = rows
    return changed


def fake(data: RecDataset, share: float, draw: "Draw") -> RecDataset:
    """Add random training interactions, `share` times the present number, uniform over pairs that are in no split."""
    n, room = round(share * len(data.train)), data.n_users * data.n_items
    taken = np.concatenate([_keys(data, part) for part in data.splits])
    if n > room - len(np.unique(taken)):
        raise DataError(f"{data.name}: fake={share}: no room for {n} interactions beside those that are there")
    rng, added = draw.generator(), np.empty(0, dtype=np.int64)
    while len(added) < n:
        drawn = np.concatenate([added, rng.integers(room, size=DRAWS)])
        firsts = np.sort(np.unique(drawn, return_index=True)[1])
        added = drawn[firsts][~np.isin(drawn[firsts], taken)]
    users, items = np.divmod(np.concatenate([_keys(data, data.train), added[:n]]), data.n_items)
    return replace(data, train=Interactions.from_pairs(users, items, data.n_users))


def shift(data: RecDataset, level: float, draw: "Draw") -> RecDataset:
    """Make popular items rarer in validation and test, or more frequent for `level` below 0.

    A pair stays with probability min(1, (median / popularity) ** level): popularity is 1 + the item's training
    interactions, the median is taken over the split's pairs, so at least half of the pairs stay. At level 1 all items
    that are more popular than the median are equally frequent in expectation. A user may lose all pairs of a split and
    is then not evaluated.
    """
    popularity = 1 + np.bincount(data.train.items, minlength=data.n_items)
    held: dict[Split, Interactions] = {"valid": data.valid, "test": data.test}
    candidates = dict(data.candidates or {})
    for name, split in held.items():
        found = popularity[split.items]
        with np.errstate(over="ignore"):  # a probability above 1 is 1
            stays = draw.generator(name).random(len(split)) < (np.median(found) / found) ** level
        held[name] = Interactions.from_pairs(split.users[stays], split.items[stays], data.n_users)
        if data.candidates:  # a row for each pair: these sets have one pair a user
            candidates[name] = data.candidates[name][stays]
    return replace(data, valid=held["valid"], test=held["test"], candidates=candidates or None)


def _keys(data: RecDataset, split: Interactions) -> Ints:
    return split.users * data.n_items + split.items


class Draw(NamedTuple):
    """Source of the random choices of one corruption."""

    seed: int
    name: str

    def generator(self, part: str = "") -> Generator:
        """Return a new generator for the corruption, or for a part of it such as a modality."""
        digest = hashlib.sha256(f"{self.seed} {self.name} {part}".encode()).digest()
        return Generator(PCG64(int.from_bytes(digest[:16])))

    def items(self, n_items: int, share: float) -> Ints:
        """Draw round(share * n_items) items, at least one unless the share is 0; the same in every modality."""
        n = max(round(share * n_items), int(share > 0))
        return self.generator().permutation(n_items)[:n]

    def items_and_others(self, n_items: int, share: float) -> tuple[Ints, Ints]:
        """Draw items as `items` does, and for each another item."""
        chosen = self.items(n_items, share)
        steps = self.generator("others").integers(1, max(n_items, 2), size=n_items)  # all, so that shares are nested
        return chosen, (chosen + steps[chosen]) % n_items


class Corruption(NamedTuple):
    """Definition of a corruption: limits and unit of its value, and a function of a feature matrix or of the data set.

    `only`: the modality that is altered unless another is named (default: all)."""

    low: float
    high: float
    unit: str
    features: Callable[[Floats, float, Draw, str], Floats] | None = None
    interactions: Callable[[RecDataset, float, Draw], RecDataset] | None = None
    only: str | None = None


CORRUPTIONS: Mapping[str, Corruption] = {
    "noise": Corruption(0, 100, "the noise's root mean square over the features'", noise),
    "snr": Corruption(-40, 100, "signal to noise in decibels", snr),
    "missing": Corruption(0, 1, "a share of the items", missing),
    "swap": Corruption(0, 1, "a share of the items", swap),
    "adjust": Corruption(0, 1, "a share of the items", adjust, only="text"),
    "mix": Corruption(0, 1, "a share of the items", mix, only="text"),
    "edit": Corruption(0, 1, "a share of the items", edit, only="text"),
    "fake": Corruption(0, 1, "a share of the training interactions", interactions=fake),
    "shift": Corruption(-10, 10, "an exponent", interactions=shift),
}


class Step(NamedTuple):
    """One `name=value` or `name.modality=value` of a variant; `key` is what stands before the `=`."""

    key: str
    name: str
    modality: str | None
    value: float


class Variant(NamedTuple):
    """Parts of a name such as `tiktok@noise=0.1,seed=3`: the corruptions in order, and the seed of their draws."""

    name: str
    steps: list[Step]
    seed: int


def clean_name(name: str) -> str:
    """Return the name of the data set that a variant is made of; any other name as it is."""
    return name.partition(MARK)[0]


def parse_variant(name: str) -> Variant:
    """Parse the name of a variant; the seed is 0 unless it is given. Raises DataError, one line, for a fault in it."""
    pairs = [_pair(name, text.strip()) for text in name.partition(MARK)[2].split(",")]
    seeds = [value for key, value in pairs if key == "seed"] or ["0"]
    if len(seeds) > 1:
        raise DataError(f"data set {name!r}: seed is given twice")
    if not (re.fullmatch("[0-9]{1,10}", seeds[0]) and int(seeds[0]) <= MOST_SEED):
        raise DataError(f"data set {name!r}: seed is {seeds[0]!r}, expected a whole number from 0 to {MOST_SEED}")
    steps = [_step(name, key, value) for key, value in pairs if key != "seed"]
    for one, other in combinations(steps, 2):  # of the same features both would draw the same
        if one.name == other.name and (one.modality == other.modality or None in (one.modality, other.modality)):
            raise DataError(f"data set {name!r}: {one.key} and {other.key}: {one.name} is given twice")
    return Variant(name, steps, int(seeds[0]))


def _pair(name: str, text: str) -> tuple[str, str]:
    key, equals, value = (part.strip() for part in text.partition("="))
    if not (key and equals and value):
        raise DataError(f"data set {name!r}: found {text!r}, expected NAME=VALUE, for example noise=0.1")
    return key, value


def _step(name: str, key: str, text: str) -> Step:
    kind, dot, modality = key.partition(".")
    if kind not in CORRUPTIONS:
        raise DataError(f"data set {name!r}: no corruption {kind!r}{did_you_mean(kind, [*CORRUPTIONS, 'seed'])}")
    corruption = CORRUPTIONS[kind]
    if dot and corruption.features is None:
        raise DataError(f"data set {name!r}: {key}: {kind} does not change features, expected {kind} alone")
    if dot and not modality:
        raise DataError(f"data set {name!r}: {key}: expected a modality after the dot")
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not corruption.low <= value <= corruption.high:
        expected = f"a number from {corruption.low} to {corruption.high}, {corruption.unit}"
        raise DataError(f"data set {name!r}: {key} is {text!r}, expected {expected}")
    return Step(key, kind, modality if dot else None, value)


def corrupted(data: RecDataset, variant: Variant) -> RecDataset:
    """Return the variant of the clean `data`, with the fingerprint of its content; unaltered arrays are shared.

    Raises DataError for features that the data set does not have.
    """
    for step in variant.steps:
        draw, corruption = Draw(variant.seed, step.name), CORRUPTIONS[step.name]
        if corruption.interactions:
            data = corruption.interactions(data, step.value, draw)
        elif corruption.features:
            altered = _modalities(data, variant.name, step)
            changed = {each: corruption.features(data.features[each], step.value, draw, each) for each in altered}
            data = replace(data, features={**data.features, **changed})
    return replace(data, name=variant.name, fingerprint="")


def _modalities(data: RecDataset, name: str, step: Step) -> list[str]:
    """Return the modalities that a step alters. Raises DataError if the data set `name` does not have them."""
    modality = step.modality if step.modality is not None else CORRUPTIONS[step.name].only
    if not data.features or (modality is not None and modality not in data.features):
        found = ", ".join(data.features) or "no features"
        hint = f"; {step.name}.{next(iter(data.features))} names another" if data.features else ""
        raise DataError(f"data set {name!r}: {step.key}: found {found}, expected {modality or 'features'}{hint}")
    return list(data.features) if modality is None else [modality]
