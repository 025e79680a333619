"""The pairs of an overview: names with commas in --model and --dataset, or the YAML file of --pairs."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from recmodels.errors import UserError, did_you_mean
from tuning.cli.arguments import Given, flag
from tuning.cli.options import OPTIONS, Option, all_options, parser
from tuning.yaml_document import Document, read_yaml

WHOLE = ("name", "output_dir", "ray_address", "pairs", "share_budget", "table_metrics", "dry_run", "resume", "replay")
"""Options of an overview as a whole, which no pair has for itself."""
FORM = "a mapping with `pairs`, a list, and, if wanted, `defaults`"


@dataclass(frozen=True)
class AskedPair:
    """A model and a data set. `own`: the options that hold for this pair alone. `where`: its place in a file, for
    messages, else empty."""

    model: str
    dataset: str
    own: Given
    where: str = ""

    def __str__(self) -> str:
        return f"{self.where}{self.model} on {self.dataset}"


def names(text: str) -> list[str]:
    """Return the names in the value of --model or --dataset; a comma within the corruptions of a data set parts none.

    >>> names("tiktok@noise=0.1,missing=0.2,demo")
    ['tiktok@noise=0.1,missing=0.2', 'demo']
    """
    return [name.strip() for name in re.split(",(?![^,@]*=)", text)]


def is_several(given: Given) -> bool:
    """Return whether the options ask for more than one pair, or for pairs of a file."""
    return "pairs" in given or any(len(names(given.get(name, ""))) > 1 for name in ("model", "dataset"))


def asked_pairs(given: Given) -> list[AskedPair]:
    """Return the pairs that the options ask for, each once. UserError, one line."""
    found = list(_of_file(Path(given["pairs"]), given) if "pairs" in given else _of(given, "", {}))
    twice = {str(pair) for pair in found if [(p.model, p.dataset) for p in found].count((pair.model, pair.dataset)) > 1}
    if twice:
        raise UserError(f"expected each pair once, but found more than one of {', '.join(sorted(twice))}")
    return found


def _of(given: Given, where: str, own: Given) -> Iterator[AskedPair]:
    """Yield every model with every data set."""
    for needed in ("model", "dataset"):
        if needed not in given:
            raise UserError(f"{where}--{needed}: missing, expected names with commas (see --list-{needed}s)")
        if "" in names(given[needed]):
            raise UserError(f"{where}--{needed} {given[needed]}: expected a name on each side of a comma")
    for model, dataset in product(*(names(given[needed]) for needed in ("model", "dataset"))):
        yield AskedPair(model, dataset, own, where)


def _of_file(path: Path, given: Given) -> Iterator[AskedPair]:
    """Yield the pairs of a file. The options of the command line win over its defaults, a pair's own over both."""
    document = read_yaml(path, expected="a list of pairs")
    if isinstance(document.data, list):
        document = document.under("pairs")
    data = document.data
    if not isinstance(data, dict) or not isinstance(data.get("pairs"), list) or not data["pairs"]:
        raise UserError(f"{path}: expected {FORM}, but got {_kind(data)}")
    if unknown := sorted(set(data) - {"pairs", "defaults"}):
        raise UserError(f"{document.where(unknown[0])}: unknown key {unknown[0]!r}, expected {FORM}")
    defaults = _options(document, data["defaults"], "defaults") if "defaults" in data else {}
    common = {name: given[name] for name in ("model", "dataset") if name in given}
    for place, entry in enumerate(data["pairs"]):
        own = _options(document, entry, "pairs", str(place))
        merged = {name: value for name, value in defaults.items() if name not in given} | own
        off = {name for name, value in merged.items() if value is False}
        options = {name: value for name, value in merged.items() if name not in {"model", "dataset"} | off}
        yield from _of(defaults | common | own, f"{document.where('pairs', str(place))}: ", options)


def _options(document: Document, data: Any, *place: str) -> Given:
    """Return the options at a place of a file, read by the command line's own parser."""
    if not isinstance(data, dict):
        raise UserError(f"{document.where(*place)}: expected options with their values, but got {data!r}")
    given: Given = {}
    for key, value in data.items():
        given |= _parsed(key, value, document.where(*place, key))
    return given


def _parsed(key: str, value: Any, where: str) -> Mapping[str, Any]:
    """Return the option `key` of a file with its value as the command line gives it; a switch may be off."""
    option = next((each for each in all_options() if each.name == key.replace("-", "_")), None)
    known = {each.flag.removeprefix("--") for each in _allowed()}
    if option is None or option not in _allowed():
        why = "is no option of a single pair" if option else f"no such option{did_you_mean(key, known)}"
        raise UserError(f"{where}: {key}: {why}")
    if option.metavar is None:
        if not isinstance(value, bool):
            raise UserError(f"{where}: {key}: expected true or false, but got {value!r}")
        return {option.name: value}
    texts = value if isinstance(value, list) else [value]
    if not texts or any(isinstance(text, dict | list | bool) or text is None for text in texts):
        raise UserError(f"{where}: {key}: expected a value or a list of values, but got {value!r}")
    texts = [str(text) for text in texts] if option.repeatable else [",".join(map(str, texts))]
    try:
        return parser().parse([f"{flag(option.name)}={text}" for text in texts])
    except UserError as error:
        raise UserError(f"{where}: {str(error).removeprefix('--')}") from None


def _allowed() -> list[Option]:
    """Return the options that a pair may have for itself."""
    whole = {option.name for option in OPTIONS["instead of a new search"]} | set(WHOLE)
    return [option for option in all_options() if option.name not in whole]


def _kind(data: Any) -> str:
    return f"the keys {', '.join(map(str, data))}" if isinstance(data, dict) and data else repr(data)
