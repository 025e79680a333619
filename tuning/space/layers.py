"""Files of search_spaces/ and overrides of a user -> one Space.

Later layers win, parameter by parameter: models/<model>.yaml, strategies/<strategy>.yaml (of each part, if a
composition has no file), optimizers/<optimizer>.yaml (if the optimiser is fixed), datasets/<dataset>.yaml,
pairs/<model>-<dataset>.yaml, --space, --set.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from recmodels.errors import did_you_mean
from tuning.space.distributions import Fixed
from tuning.space.parameter import SECTIONS, Parameter, SpaceError, read_parameter, read_parameters
from tuning.space.space import Space
from tuning.yaml_document import Document, parse_yaml, read_yaml

SECTIONS_OF_TUNE: dict[str, tuple[str, ...]] = {"strategy": ("strategy",), "base": ("train", "model"), "all": SECTIONS}
"""A value of --tune -> the sections that it searches."""
SEARCH_SPACES = Path(__file__).resolve().parents[2] / "search_spaces"


def load_space(
    model: str,
    strategy: str,
    dataset: str,
    *,
    tune: str = "strategy",
    space: str | None = None,
    overrides: Sequence[str | Parameter] = (),
    known: Mapping[str, Collection[str]],
    root: Path = SEARCH_SPACES,
) -> Space:
    """Return the space of one search. SpaceError or YamlError, one line, for a fault in any layer.

    `tune`: a key of SECTIONS_OF_TUNE; the parameters of other sections are fixed at their defaults, but for those that
    the data set's or the pair's file, `space` (built-in name or path) or `overrides` ("name=value", or a parameter)
    redefine. `known`: section -> the names that it accepts.

    >>> from tuning.space.catalogue import known_parameters
    >>> known = known_parameters("LightGCN", "mg")
    >>> space = load_space("LightGCN", "mg", "demo", overrides=["interval=3", "batch_size=256"], known=known)
    >>> [dimension.name for dimension in space.dimensions]
    ['alpha', 'beta/alpha']
    >>> space.resolve({"alpha": 1.5, "beta/alpha": 0.5})["strategy"]["beta"]
    0.75
    """
    names = _AcceptedNames({"strategy": strategy, "train": "training", "model": model}, known)
    base = read_parameters(_built_in(root, "models", model), ("train", "model"))
    for document in _strategy_files(root, strategy):
        base += read_parameters(document.under("strategy"), ("strategy",))
    changes = read_parameters(_if_any(root, "datasets", dataset), ("train",))  # for every model, so without theirs
    changes += read_parameters(_pair(root, f"{model}-{dataset}", with_knobs=bool(known.get("strategy"))))
    changes += read_parameters(_chosen(root, space))
    changes += [_override(each, names) if isinstance(each, str) else each for each in overrides]
    for parameter in base + changes:
        names.check(parameter.section, parameter.name, parameter.source)
    changed = {parameter.name: parameter for parameter in changes}
    merged = {parameter.name: parameter for parameter in base}
    merged |= {parameter.name: parameter for parameter in _of_optimizer(root, merged | changed)} | changed
    searched = changed.keys() | {name for name, each in merged.items() if each.section in SECTIONS_OF_TUNE[tune]}
    return Space(tuple(each if name in searched else _at_default(each, tune) for name, each in merged.items()))


@dataclass(frozen=True)
class _AcceptedNames:
    """The names that each section accepts. `owners`: section -> the model, strategy or "training", for messages."""

    owners: Mapping[str, str]
    known: Mapping[str, Collection[str]]

    def __post_init__(self) -> None:
        for name in sorted({name for names in self.known.values() for name in names}):
            if len(sections := self.sections(name)) > 1:
                raise SpaceError(f"parameter {name!r} must belong to one section, but is in {' and '.join(sections)}")

    def sections(self, name: str) -> list[str]:
        return [section for section in SECTIONS if name in self.known.get(section, ())]

    def check(self, section: str, name: str, source: str) -> None:
        """Raise SpaceError unless the section accepts the name."""
        sections = self.sections(name)
        if sections and section not in sections:
            raise SpaceError(f"{source}: {name!r} belongs in section {sections[0]!r}, not {section!r}")
        if not sections:
            hint = did_you_mean(name, self.known.get(section, ()))
            raise SpaceError(f"{source}: {self.owners[section]} has no parameter {name!r}{hint}")


def _at_default(parameter: Parameter, tune: str) -> Parameter:
    default = parameter.distribution.default
    if default is None:
        text = f"is not searched with tune={tune} and needs a default to be fixed at; or give it a value with --set"
        raise SpaceError(f"{parameter.source}: {parameter.name}: {text}")
    return replace(parameter, distribution=Fixed(default))


def _override(text: str, names: _AcceptedNames) -> Parameter:
    """Return the parameter of `name=value` or `section.name=value`."""
    source = f"--set {' '.join(text.split())}"
    key, equals, value = (part.strip() for part in text.partition("="))
    section, dot, name = key.rpartition(".")
    if not equals or not name:
        raise SpaceError(f"{source}: expected NAME=VALUE, for example --set reg_weight=1e-3")
    if dot and section not in SECTIONS:
        raise SpaceError(f"{source}: unknown section {section!r}{did_you_mean(section, SECTIONS)}")
    sections = names.sections(name)
    if not dot and not sections:
        everything = [each for known in names.known.values() for each in known]
        raise SpaceError(f"{source}: no parameter {name!r}{did_you_mean(name, everything)}")
    section = section or sections[0]
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


def _if_any(root: Path, folder: str, name: str) -> Document:
    files = _files(root, folder)
    return _read(files[name]) if name in files else Document(name, {}, {})


def _of_optimizer(root: Path, parameters: Mapping[str, Parameter]) -> list[Parameter]:
    """Return the parameters of optimizers/NAME.yaml, if the optimiser is fixed."""
    optimizer = parameters.get("optimizer")
    if optimizer is None or not isinstance(optimizer.distribution, Fixed):
        return []
    return read_parameters(_if_any(root, "optimizers", str(optimizer.distribution.value)).under("train"), ("train",))


def _strategy_files(root: Path, strategy: str) -> list[Document]:
    files = _files(root, "strategies")
    names = [strategy] if strategy in files else strategy.split("+")
    return [_built_in(root, "strategies", name) for name in names]


def _pair(root: Path, pair: str, *, with_knobs: bool) -> Document:
    """Return the overrides of one model on one data set, if any; a strategy without knobs, the baseline, skips them."""
    document = _if_any(root, "pairs", pair)
    if not with_knobs and isinstance(document.data, dict):
        document.data.pop("strategy", None)
    return document


def _chosen(root: Path, space: str | None) -> Document:
    """Return the space that the user names: a built-in one, else a file."""
    if space is None:
        return Document("--space", {}, {})
    files = _files(root, "spaces")
    if space in files:
        return _read(files[space])
    if not Path(space).is_file():
        raise SpaceError(f"--space {space}: neither a built-in space nor a file{did_you_mean(space, files)}")
    return read_yaml(Path(space), space)
