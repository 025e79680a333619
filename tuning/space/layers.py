"""search_spaces/*.yaml and the command line's wishes -> one Space.

Later layers win, parameter by parameter: models/<model>.yaml, strategies/<strategy>.yaml (of each part, where a
composition has no file of its own), optimizers/<optimizer>.yaml (where there is one only), datasets/<dataset>.yaml,
pairs/<model>-<dataset>.yaml, --space, --set.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from recmodels.errors import did_you_mean
from tuning.space.distributions import Fixed
from tuning.space.parameter import SECTIONS, Parameter, SpaceError, read_parameter, read_parameters
from tuning.space.space import Dimension, Space, in_order, optuna_distributions
from tuning.space.yaml_document import Document, parse_yaml, read_yaml

__all__ = ["Dimension", "Space", "SpaceError", "load_space", "optuna_distributions"]

SEARCHED: dict[str, tuple[str, ...]] = {"strategy": ("strategy",), "base": ("train", "model"), "all": SECTIONS}
"""What may be searched -> its sections."""
SEARCH_SPACES = Path(__file__).resolve().parents[2] / "search_spaces"


def load_space(
    model: str,
    strategy: str,
    dataset: str,
    *,
    tune: str = "strategy",
    space: str | None = None,
    overrides: Sequence[str] = (),
    known: Mapping[str, Collection[str]],
    root: Path = SEARCH_SPACES,
) -> Space:
    """The space of one search. SpaceError or YamlError, one line, for whatever is wrong in a layer.

    `tune`: which of SEARCHED is searched; the rest is fixed at its defaults.
    What the data set's and the pair's file, `space` (built-in name or path) or `overrides` ("name=value") say is
    searched in any case. `known`: section -> the names that it accepts.
    """
    names = _Names({"strategy": strategy, "train": "training", "model": model}, known)
    given = read_parameters(_built_in(root, "models", model), ("train", "model"))
    for document in _strategy_files(root, strategy):
        given += read_parameters(_as_strategy(document))
    wished = read_parameters(_if_any(root, "datasets", dataset), ("train",))  # what fits every model
    wished += read_parameters(_pair(root, f"{model}-{dataset}", with_knobs=bool(known.get("strategy"))))
    wished += read_parameters(_chosen(root, space))
    for parameter in given + wished:
        names.check(parameter.section, parameter.name, parameter.source)
    asked = {p.name: p for p in wished} | {p.name: p for p in (_override(text, names) for text in overrides)}
    merged = {p.name: p for p in given}
    merged |= {p.name: p for p in _of_optimizer(root, merged | asked)} | asked
    searched = asked.keys() | {name for name, p in merged.items() if p.section in SEARCHED[tune]}
    return Space(in_order([p if name in searched else _at_default(p, tune) for name, p in merged.items()]))


@dataclass(frozen=True)
class _Names:
    """The accepted parameters. `owners`: section -> what messages call the thing that has them."""

    owners: Mapping[str, str]
    known: Mapping[str, Collection[str]]

    def __post_init__(self) -> None:
        for name in sorted({name for names in self.known.values() for name in names}):
            if len(sections := self.sections(name)) > 1:
                raise SpaceError(f"parameter {name!r} must belong to one section, but is in {' and '.join(sections)}")

    def sections(self, name: str) -> list[str]:
        return [section for section in SECTIONS if name in self.known.get(section, ())]

    def check(self, section: str, name: str, source: str) -> None:
        """SpaceError unless the section accepts the name."""
        home = self.sections(name)
        if home and section not in home:
            raise SpaceError(f"{source}: {name!r} belongs in section {home[0]!r}, not {section!r}")
        if not home:
            hint = did_you_mean(name, self.known.get(section, ()))
            raise SpaceError(f"{source}: {self.owners[section]} has no parameter {name!r}{hint}")


def _at_default(parameter: Parameter, tune: str) -> Parameter:
    default = parameter.distribution.default
    if default is None:
        text = f"is not searched with tune={tune} and needs a default to be fixed at; or give it a value with --set"
        raise SpaceError(f"{parameter.source}: {parameter.name}: {text}")
    return replace(parameter, distribution=Fixed(default))


def _override(text: str, names: _Names) -> Parameter:
    """`name=value` or `section.name=value`."""
    source = f"--set {' '.join(text.split())}"
    key, equals, value = (part.strip() for part in text.partition("="))
    section, dot, name = key.rpartition(".")
    if not equals or not name:
        raise SpaceError(f"{source}: expected NAME=VALUE, for example --set reg_weight=1e-3")
    if dot and section not in SECTIONS:
        raise SpaceError(f"{source}: unknown section {section!r}{did_you_mean(section, SECTIONS)}")
    homes = names.sections(name)
    if not dot and not homes:
        everything = [each for known in names.known.values() for each in known]
        raise SpaceError(f"{source}: no parameter {name!r}{did_you_mean(name, everything)}")
    section = section or homes[0]
    names.check(section, name, source)
    return read_parameter(section, name, parse_yaml(value, source, one_line=True).data, source)


def _files(root: Path, folder: str) -> dict[str, Path]:
    return {path.stem: path for path in (root / folder).glob("*.yaml")}


def _read(path: Path) -> Document:
    return read_yaml(path, f"{path.parent.name}/{path.name}")


def _built_in(root: Path, folder: str, name: str) -> Document:
    files = _files(root, folder)
    if name not in files:
        raise SpaceError(f"{folder}/{name}.yaml: no such search space{did_you_mean(name, files)}")
    return _read(files[name])


def _of_optimizer(root: Path, parameters: Mapping[str, Parameter]) -> list[Parameter]:
    """What suits the optimiser, where there is only one."""
    optimizer = parameters.get("optimizer")
    if optimizer is None or not isinstance(optimizer.distribution, Fixed):
        return []
    document = _if_any(root, "optimizers", str(optimizer.distribution.value))
    lines = {("train", *path): line for path, line in document.lines.items()}
    return read_parameters(Document(document.name, {"train": document.data}, lines), ("train",))


def _strategy_files(root: Path, strategy: str) -> list[Document]:
    files = _files(root, "strategies")
    names = [strategy] if strategy in files else strategy.split("+")
    return [_built_in(root, "strategies", name) for name in names]


def _as_strategy(document: Document) -> Document:
    """A strategy file has one section only, and leaves its name out."""
    lines = {("strategy", *path): line for path, line in document.lines.items()}
    return Document(document.name, {"strategy": document.data}, lines)


def _if_any(root: Path, folder: str, name: str) -> Document:
    files = _files(root, folder)
    return _read(files[name]) if name in files else Document(name, {}, {})


def _pair(root: Path, pair: str, *, with_knobs: bool) -> Document:
    """The overrides of one model on one data set, if any; a strategy without knobs, the baseline, skips theirs."""
    document = _if_any(root, "pairs", pair)
    if not with_knobs and isinstance(document.data, dict):
        document.data.pop("strategy", None)
    return document


def _chosen(root: Path, space: str | None) -> Document:
    """The space that the user names: a built-in one, else a file."""
    if space is None:
        return Document("--space", {}, {})
    files = _files(root, "spaces")
    if space in files:
        return _read(files[space])
    if not Path(space).is_file():
        raise SpaceError(f"--space {space}: neither a built-in space nor a file{did_you_mean(space, files)}")
    return read_yaml(Path(space), space)
