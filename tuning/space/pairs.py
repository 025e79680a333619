"""What a pair's file says besides parameters: how good its values are, where they come from, what the source reached.

search_spaces/pairs/MODEL-DATASET.yaml has, beside the sections of parameters:

grade: B                                    a key of GRADES; values of your own need none
source: github OWNER/REPOSITORY @commit, file
published:                                  figures that tables show as a reference
  NAME: {source: ..., valid: {recall@20: 0.0462}, test: {recall@20: 0.042}}
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recmodels.errors import did_you_mean
from recmodels.metric import Metric
from tuning.space.files import SEARCH_SPACES, read_pair_layer
from tuning.space.parameter import SECTIONS, SpaceError
from tuning.yaml_document import Document

GRADES = {
    "A": "the model's authors state or log these values for this split",
    "B": "the best of a grid that somebody else ran and committed",
    "C": "weak, one setting that somebody published, or a grid that was not finished",
}
"""Grade -> what it means."""
PAIR_KEYS = ("grade", "source", "published")
"""The keys of a pair's file that are no sections of parameters."""


@dataclass(frozen=True)
class Figures:
    """Figures that somebody published. They are shown beside results and take no part in any choice.

    `by`: short name of who reached or printed them. `source`: where they stand. `valid`, `test`: metric -> value.
    """

    by: str
    source: str
    valid: Mapping[str, float]
    test: Mapping[str, float]


@dataclass(frozen=True)
class Pair:
    """The origin of the values of a model on a data set.

    `file`: its name within search_spaces. `grade`: a key of GRADES. `source`: where the values stand. Both are None for
    values that give none. `published`: what others reached.
    """

    file: str
    grade: str | None
    source: str | None
    published: tuple[Figures, ...]


def read_pair(model: str, *names: str, root: Path = SEARCH_SPACES) -> Pair | None:
    """Return what the file of a model on a data set says besides parameters; None if there is no such file.

    `names`: of the data set, of which the first that has a file counts.
    SpaceError, one line with file and line, for a grade or figures that are none.
    """
    document = read_pair_layer(root, model, *names)
    if not document.data:
        return None
    data = _mapping(document, (*SECTIONS, *PAIR_KEYS))
    grade, source = (_text(document, key) if key in data else None for key in ("grade", "source"))
    if grade not in (None, *GRADES):
        raise SpaceError(f"{document.where('grade')}: grade must be one of {', '.join(GRADES)}, but got {grade!r}")
    found = _mapping(document, None, "published") if "published" in data else {}
    return Pair(document.name, grade, source, tuple(_figures(document, by) for by in found))


def _figures(document: Document, by: str) -> Figures:
    """Return the figures under `published: {by: ...}`."""
    place = ("published", by)
    data = _mapping(document, ("source", "valid", "test"), *place)
    if "source" not in data or len(data) < 2:
        found = ", ".join(data) or "nothing"
        raise SpaceError(
            f"{document.where(*place)}: {'.'.join(place)}: expected a source, and valid or test, but got {found}"
        )
    valid, test = (_metrics(document, *place, split) if split in data else {} for split in ("valid", "test"))
    return Figures(by, _text(document, *place, "source"), valid, test)


def _metrics(document: Document, *place: str) -> dict[str, float]:
    """Return metric -> value of the mapping at a place."""
    found = _mapping(document, None, *place)
    if not found:
        raise SpaceError(f"{document.where(*place)}: {'.'.join(place)}: expected metrics, but got none")
    for name, value in found.items():
        where = f"{document.where(*place, name)}: {'.'.join(place)}"
        try:
            Metric(name)
        except ValueError as error:
            raise SpaceError(f"{where}: {error}") from None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise SpaceError(f"{where}: {name} must be a number from 0 to 1, but got {value!r}")
    return {name: float(value) for name, value in found.items()}


def _mapping(document: Document, known: tuple[str, ...] | None, *place: str) -> dict[str, Any]:
    """Return the mapping at a place of a document. SpaceError if it is none, or has a key that is not known."""
    data = _at(document, *place)
    name = "".join(f"{'.'.join(place)}: " for _ in place[:1])
    if not isinstance(data, dict):
        raise SpaceError(f"{document.where(*place)}: {name}expected a mapping of names to values, but got {data!r}")
    for key in data:
        if known is not None and key not in known:
            raise SpaceError(f"{document.where(*place, key)}: {name}unknown key {key!r}{did_you_mean(key, known)}")
    return data


def _text(document: Document, *place: str) -> str:
    """Return the text at a place, on one line. SpaceError if it is none."""
    value = _at(document, *place)
    if not isinstance(value, str) or not value.strip():
        raise SpaceError(f"{document.where(*place)}: {'.'.join(place)} must be a text, but got {value!r}")
    return " ".join(value.split())


def _at(document: Document, *place: str) -> Any:
    """Return the data under these keys, which are there."""
    data = document.data
    for key in place:
        data = data[key]
    return data
