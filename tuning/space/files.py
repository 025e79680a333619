"""The YAML files of search_spaces/, by folder and name."""

from collections.abc import Sequence
from pathlib import Path

from recmodels.errors import did_you_mean
from tuning.space.parameter import SpaceError
from tuning.yaml_document import Document, read_yaml

SEARCH_SPACES = Path(__file__).resolve().parents[2] / "search_spaces"


def space_files(root: Path, folder: str) -> dict[str, Path]:
    """Return the YAML files of a folder by name."""
    return {path.stem: path for path in (root / folder).glob("*.yaml")}


def read_layer(root: Path, folder: str, name: str, *, optional: bool = False) -> Document:
    """Return the document of folder/name.yaml; one without content if there is no such file and it is optional.

    SpaceError if it is missing and not optional, UserError if it is not YAML.
    """
    files = space_files(root, folder)
    if name in files:
        return read_yaml(files[name], f"{folder}/{name}.yaml")
    if optional:
        return Document(name, {}, {})
    raise SpaceError(f"{folder}/{name}.yaml: no such search space{did_you_mean(name, files)}")


def read_dataset_layer(root: Path, *names: str) -> Document:
    """Return the document of a data set, the first of its `names` that has a file; one without content if none has."""
    return _first(root, "datasets", names)


def read_pair_layer(root: Path, model: str, *names: str) -> Document:
    """Return the document of a model on a data set, the first of its `names` that has a file with the model; one
    without content if none has."""
    return _first(root, "pairs", [f"{model}-{name}" for name in names])


def _first(root: Path, folder: str, names: Sequence[str]) -> Document:
    files = space_files(root, folder)
    return read_layer(root, folder, next((name for name in names if name in files), names[0]), optional=True)
