"""The exports that an analysis compares, their data set, and their trained weights."""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from recmodels.data.dataset import RecDataset
from recmodels.errors import UserError
from recmodels.models import Recommender
from recmodels.training.checkpoint import save_weights
from tuning.export import Export, read_trainable
from tuning.export.replay import load_model
from tuning.export.weights import kept_weights

Trainer = Callable[[Export, RecDataset], dict[str, Tensor]]
"""Trains an export again and returns the weights of its best epoch."""
LONGEST = 100
"""Characters of a folder's name; file systems take up to 255 bytes."""


@dataclass(frozen=True)
class Subject:
    """An export that is analysed. `label`: its name, unlike that of the others."""

    label: str
    path: Path
    export: Export


@dataclass(frozen=True)
class Weights:
    """The trained weights of a subject.

    `source`: where they come from, such as `of the search NAME`. `digest`: of all that the model is made from; results
    with the same one are of the same model. `search`: the folder of the search that they are from, if they were there.
    """

    path: Path
    source: str
    digest: str
    search: Path | None = None


@dataclass(frozen=True, eq=False)
class Trained:
    """A model to measure. `digest`: of its weights and of all that it is made from. `load`: makes it."""

    label: str
    digest: str
    load: Callable[[], Recommender]


@dataclass(frozen=True)
class Origin:
    """What an analysis is of. `labels`: names, in their order. `searches`: folders of the searches that are told."""

    labels: tuple[str, ...]
    searches: tuple[Path, ...]


@dataclass(frozen=True)
class Analyzed:
    """The trained exports that an analysis compares, in the order in which they were given."""

    data: RecDataset
    subjects: tuple[Subject, ...]
    weights: tuple[Weights, ...]

    def model(self, number: int) -> Recommender:
        """Return a new copy of an export's trained model, in evaluation mode."""
        return model_of(self.subjects[number], self.weights[number], self.data)

    @property
    def origin(self) -> Origin:
        """The labels of the exports, and the searches that their weights are from."""
        searches = dict.fromkeys(weights.search for weights in self.weights if weights.search)
        return Origin(tuple(subject.label for subject in self.subjects), tuple(searches))

    def trained(self, number: int) -> Trained:
        """Return an export's trained model, made when it is wanted."""
        return Trained(self.subjects[number].label, self.weights[number].digest, lambda: self.model(number))

    def identity(self, number: int) -> dict[str, Any]:
        """Return what a record says of the export that it is of, by column."""
        subject, export = self.subjects[number], self.subjects[number].export
        return {
            "export": subject.label,
            **{key: getattr(export, key) for key in ("model", "dataset", "strategy", "reconstruction", "seed")},
            "optimizer": export.parameters["train"].get("optimizer"),
            "checkpoint": self.weights[number].digest[:12],
        }


def read_subjects(paths: Sequence[Path]) -> tuple[Subject, ...]:
    """Read exports. UserError for a file that is none, for one given twice, and for exports of several data sets."""
    seen = [path.resolve() for path in paths]
    for path, resolved in zip(paths, seen, strict=True):
        if seen.count(resolved) > 1:
            raise UserError(f"{path}: given twice, expected different exports")
    exports = [read_trainable(path) for path in paths]
    for path, export in zip(paths, exports, strict=True):
        first = exports[0]
        if (export.dataset, export.data_fingerprint) != (first.dataset, first.data_fingerprint):
            both = (
                f"{export.dataset} ({export.data_fingerprint[:8]}) and {first.dataset} ({first.data_fingerprint[:8]})"
            )
            raise UserError(f"{path}: expected exports of one data set, but got {both}")
    stems = Counter(path.stem for path in paths)
    labels = [path.stem if stems[path.stem] == 1 else path.with_suffix("").as_posix() for path in paths]
    return tuple(map(Subject, labels, paths, exports))


def folder_name(labels: Iterable[str]) -> str:
    """Return the name of an analysis: the labels of what it is of joined by `+`; a long one is cut, with a digest."""
    name = re.sub(r"[^A-Za-z0-9._+-]+", "-", "+".join(labels)).strip("-.")
    if len(name) <= LONGEST:
        return name
    return f"{name[: LONGEST - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def weights_of(
    subject: Subject, data: RecDataset, searches: Path, kept: Path, train: Trainer, given: Path | None = None
) -> Weights:
    """Return the weights of a subject: those of the file `given`, if there is one; else those of its search below the
    folder `searches`; else those that an earlier analysis left in the folder `kept`; else they are trained again and
    left there. UserError if that fails."""
    export = subject.export
    content = hashlib.sha256(f"{export.to_yaml()}{data.fingerprint}".encode())
    path, source = kept_weights(export, searches), f"of the search {export.search.name}"
    search: Path | None = searches / export.search.name
    if given is not None:
        path, search, source = given, None, "of a file"
    if path is None:
        search, source = None, "trained again"
        path = kept / f"{re.sub(r'[^A-Za-z0-9._+-]+', '-', subject.label)}-{content.hexdigest()[:8]}.safetensors"
        if not path.is_file():
            save_weights(path, train(export, data))
    content.update(path.read_bytes())
    return Weights(path, source, content.hexdigest(), search)


def model_of(subject: Subject, weights: Weights, data: RecDataset) -> Recommender:
    """Return the trained model of a subject, in evaluation mode. UserError for another model's weights."""
    return load_model(subject.export, data, weights.path)
