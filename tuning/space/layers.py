"""Combine the files of search_spaces/ and the overrides of a user into one Space.

Later layers win, parameter by parameter: models/<model>.yaml, strategies/<strategy>.yaml (of each part, if a
composition has no file), optimizers/<optimizer>.yaml (if the optimiser is fixed), datasets/<dataset>.yaml,
pairs/<model>-<dataset>.yaml, --space, --set. The file of an optimiser that the user chose in place of theirs comes
after these files: their learning rates are for another one.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from recmodels.errors import did_you_mean
from tuning.space.distributions import Distribution, Fixed
from tuning.space.files import SEARCH_SPACES, read_dataset_layer, read_layer, read_pair_layer, space_files
from tuning.space.first import KEY, FirstPoint, split_first
from tuning.space.pairs import PAIR_KEYS
from tuning.space.parameter import SECTIONS, Parameter, SpaceError, read_parameter, read_parameters
from tuning.space.space import Space
from tuning.yaml_document import Document, parse_yaml, read_yaml

SECTIONS_OF_TUNE: dict[str, tuple[str, ...]] = {"strategy": ("strategy",), "base": ("train", "model"), "all": SECTIONS}
"""Value of --tune -> the sections that are searched."""


def load_space(
    model: str,
    strategy: str,
    dataset: str | tuple[str, ...],
    *,
    tune: str = "strategy",
    space: str | None = None,
    overrides: Sequence[str | Parameter] = (),
    known: Mapping[str, Collection[str]],
    root: Path = SEARCH_SPACES,
) -> Space:
    """Return the space of one search. UserError, one line, for a fault in any layer.

    `dataset`: its name, or its names, of which the first that has a file counts.
    `tune`: a key of SECTIONS_OF_TUNE. Parameters of other sections are fixed at their defaults, unless `space`
    (built-in name or path) or `overrides` ("name=value", or a parameter) give them values.
    `known`: section -> the names that it accepts.

    >>> from tuning.space.catalogue import known_parameters
    >>> known = known_parameters("LightGCN", "mg")
    >>> space = load_space("LightGCN", "mg", "demo", overrides=["interval=3", "batch_size=256"], known=known)
    >>> list(space.dimensions)
    ['alpha', 'beta/alpha']
    >>> space.resolve({"alpha": 1.5, "beta/alpha": 0.5})["strategy"]["beta"]
    0.75
    """
    section_of, names = sections_of(known), (dataset,) if isinstance(dataset, str) else dataset
    base = read_parameters(read_layer(root, "models", model), ("train", "model"))
    first: tuple[FirstPoint, ...] = ()
    for part in [strategy] if strategy in space_files(root, "strategies") else strategy.split("+"):
        document, points = split_first(read_layer(root, "strategies", part))
        base += read_parameters(document.under("strategy"), ("strategy",))
        first += points or ()
    # A data set's file serves every model and so has no model section. The baseline has no knobs and skips a pair's.
    data = read_parameters(read_dataset_layer(root, *names), ("train",))
    pair = read_parameters(read_pair_layer(root, model, *names), others=PAIR_KEYS)
    data += [each for each in pair if each.section != "strategy" or known["strategy"]]
    asked: list[Parameter] = []
    if space is not None:
        document, points = split_first(_space_file(root, space))
        asked += _of_space(document, known["strategy"] if space in space_files(root, "spaces") else None)
        first = first if points is None else points
    asked += [each if isinstance(each, Parameter) else _override(each, section_of) for each in overrides]
    optimizer = _optimizer(base + data + asked)
    suits = [] if optimizer is None else _of_optimizer(root, optimizer)
    shipped = base + suits + data if optimizer == _optimizer(base + data) else base + data + suits
    merged = {}
    for each in shipped + asked:
        if section_of.get(each.name) != each.section:
            owner = {"strategy": strategy, "train": "training", "model": model}[each.section]
            raise SpaceError(f"{each.source}: {_misplaced(each, section_of, owner)}")
        merged[each.name] = each
    searched = {each.name for each in asked}
    searched |= {each.name for each in merged.values() if each.section in SECTIONS_OF_TUNE[tune]}
    for point in first:
        for name in point.values.keys() - merged.keys():
            raise SpaceError(f"{point.source}: {KEY}: no parameter {name!r}{did_you_mean(name, merged)}")
    return Space(tuple(each if each.name in searched else _at_default(each, tune) for each in merged.values()), first)


def _optimizer(parameters: Sequence[Parameter]) -> Distribution | None:
    """Return the distribution that the last of these parameters called `optimizer` has; None without one."""
    return {each.name: each.distribution for each in parameters}.get("optimizer")


def _of_optimizer(root: Path, optimizer: Distribution) -> list[Parameter]:
    """Return the parameters that suit an optimiser; none if it is searched or has no file."""
    if not isinstance(optimizer, Fixed):
        return []
    layer = read_layer(root, "optimizers", str(optimizer.value), optional=True)
    return read_parameters(layer.under("train"), ("train",))


def sections_of(known: Mapping[str, Collection[str]]) -> dict[str, str]:
    """Return the section of each known parameter. SpaceError for a name in two sections."""
    section_of: dict[str, str] = {}
    for section in SECTIONS:
        for name in known[section]:
            if (other := section_of.setdefault(name, section)) != section:
                raise SpaceError(f"parameter {name!r} must belong to one section, but is in {other} and {section}")
    return section_of


def _misplaced(parameter: Parameter, section_of: Mapping[str, str], owner: str) -> str:
    """Return the message for a parameter that its section does not accept.

    `owner`: the model, strategy or "training", whose parameters the section has.
    """
    if parameter.name in section_of:
        return f"{parameter.name!r} belongs in section {section_of[parameter.name]!r}, not {parameter.section!r}"
    names = [name for name, section in section_of.items() if section == parameter.section]
    return f"{owner} has no parameter {parameter.name!r}{did_you_mean(parameter.name, names)}"


def _at_default(parameter: Parameter, tune: str) -> Parameter:
    """Return the parameter fixed at its default. SpaceError if it has none."""
    if (default := parameter.distribution.default) is None:
        text = f"is not searched with tune={tune} and needs a default to be fixed at; or give it a value with --set"
        raise SpaceError(f"{parameter.source}: {parameter.name}: {text}")
    return replace(parameter, distribution=Fixed(default))


def _override(text: str, section_of: Mapping[str, str]) -> Parameter:
    """Return the parameter of `name=value` or `section.name=value`."""
    source = f"--set {' '.join(text.split())}"
    key, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not key.rpartition(".")[2]:
        raise SpaceError(f"{source}: expected NAME=VALUE, for example --set reg_weight=1e-3")
    section, name = named_parameter(key, section_of, source)
    return read_parameter(section, name, parse_yaml(value, source, one_line=True).data, source)


def named_parameter(key: str, section_of: Mapping[str, str], source: str) -> tuple[str, str]:
    """Return section and name of the parameter that is called NAME or SECTION.NAME.

    `section_of`: section of each known name. SpaceError that begins with `source` for another name or section.
    """
    section, dot, name = key.rpartition(".")
    if dot and section not in SECTIONS:
        raise SpaceError(f"{source}: unknown section {section!r}{did_you_mean(section, SECTIONS)}")
    if not dot and name not in section_of:
        raise SpaceError(f"{source}: no parameter {name!r}{did_you_mean(name, section_of)}")
    if dot and section_of.get(name, section) != section:
        raise SpaceError(f"{source}: {name!r} belongs in section {section_of[name]!r}, not {section!r}")
    return section or section_of[name], name


def base_of(space: str, root: Path = SEARCH_SPACES) -> list[Parameter]:
    """Return the train and model parameters of the space that the user names: a built-in one, else a file."""
    document, _ = split_first(_space_file(root, space))
    return [each for each in read_parameters(document) if each.section != "strategy"]


def _space_file(root: Path, space: str) -> Document:
    """Return the document of the space that the user names: a built-in one, else a file."""
    files = space_files(root, "spaces")
    if space in files:
        return read_layer(root, "spaces", space)
    if not Path(space).is_file():
        raise SpaceError(f"--space {space}: neither a built-in space nor a file{did_you_mean(space, files)}")
    return read_yaml(Path(space))


def _of_space(document: Document, knobs: Collection[str] | None) -> list[Parameter]:
    """Return the parameters of the space that the user names.

    The recipe of a built-in one goes with every strategy: of its strategy section only `knobs` count, unless nothing
    would be left. None: it is a file, all of which counts.
    """
    found = read_parameters(document)
    if knobs is None:
        return found
    return [each for each in found if each.section != "strategy" or each.name in knobs] or found
