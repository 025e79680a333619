"""Earlier searches and exports as sources of a warm start. Test metrics are never read here."""

import math
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recmodels.errors import UserError, did_you_mean
from tuning.export.model import Export, read_trainable
from tuning.records import SearchFolder, ranked
from tuning.spec import Params, SearchSpec

AUTO = "auto"
RULE = {"metric", "max_epochs", "patience", "eval_every"}
"""The fields of a training that a trial's value depends on, besides data, model, parameters and seed."""


@dataclass(frozen=True)
class Configuration:
    """A configuration that was trained to its end. `value`: the metric of its source. `source`: the search and trial,
    or the file."""

    params: Params
    value: float
    source: str


@dataclass(frozen=True)
class Source:
    """An earlier search, or the export of one. `training`: the fields RULE. `configurations`: best first."""

    name: str
    model: str
    strategy: str
    fingerprint: str
    training: dict[str, Any]
    configurations: tuple[Configuration, ...]


def find_sources(named: Sequence[str], spec: SearchSpec, strategies: Collection[str]) -> tuple[list[Source], list[str]]:
    """Return the sources of a search's warm start, and what of `auto` could not be read, a line each.

    `named`: names of searches in the spec's output_dir, folders of searches, files of exports, or AUTO: all searches
    there and all exports in the spec's export_dir. `strategies`: those that are searched beside each other; a source
    of another one than the spec's gives it nothing. UserError, one line, for a name or file that is not there or not
    of these strategies.
    """
    found, said = dict[str, Source](), list[str]()
    for text in dict.fromkeys(named):
        if text == AUTO:
            sources, unreadable = _everything(spec)
            said += unreadable
        else:
            sources = [_named(text, spec)]
            if (strategy := sources[0].strategy) not in strategies:
                raise UserError(f"--warm-start {text}: expected strategy {' or '.join(strategies)}, but got {strategy}")
        found |= {each.name: each for each in sources if each.strategy == spec.strategy}
    return list(found.values()), said


def _named(text: str, spec: SearchSpec) -> Source:
    """Return the search or export that the user names. UserError if it is neither."""
    path, root = Path(text), Path(spec.output_dir)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        try:
            return _of_export(read_trainable(path), text)
        except UserError as error:
            raise UserError(f"--warm-start: expected the export of a search: {error}") from None
    # A comparison's folder has none of the trials: its search of a strategy is called after both.
    for folder in (root / text, root / f"{text}-{re.sub('[^A-Za-z0-9._-]+', '-', spec.strategy)}", path):
        if text and SearchFolder(folder).exists():
            return _of_search(SearchFolder(folder), text)
    known = [each.name for each in _searches(root)]
    raise UserError(f"--warm-start {text}: no such search in {root}{did_you_mean(text, [*known, AUTO])}")


def _everything(spec: SearchSpec) -> tuple[list[Source], list[str]]:
    """Return all searches in output_dir but the spec's own and all exports in export_dir, and what is neither."""
    sources, faults = [], []
    for folder in _searches(Path(spec.output_dir)):
        if folder.name != spec.name:
            try:
                sources.append(_of_search(folder, folder.name))
            except UserError as error:
                faults.append(str(error))
    exports = sorted(Path(spec.export_dir).glob("*.yaml"))
    for path in [each for each in exports if not each.stem.endswith("-mmrec")]:  # the same winners in MMRec's keys
        try:
            sources.append(_of_export(Export.read(path), str(path)))
        except UserError as error:
            faults.append(str(error))
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return sources, [f"{AUTO}: not read: {faults[0]}{more}"] if faults else []


def _searches(root: Path) -> Iterator[SearchFolder]:
    """Yield the searches in a folder by name."""
    return (SearchFolder(path.parent) for path in sorted(root.glob("*/spec.yaml")))


def _of_search(folder: SearchFolder, name: str) -> Source:
    """Return the finished trials of a search that proposed them; those of a confirmation repeat one configuration."""
    spec, environment = folder.spec(), folder.environment()
    ended = [record for record in ranked(folder.ledger().values()) if record.role == "search"]
    return Source(
        name=name,
        model=spec.model,
        strategy=spec.strategy,
        fingerprint=environment.data.fingerprint if environment else "",
        training=spec.training.model_dump(include=RULE),
        configurations=tuple(
            Configuration(record.params, record.value, f"{name}/{record.trial}")
            for record in ended
            if record.status == "finished" and record.value is not None and math.isfinite(record.value)
        ),
    )


def _of_export(export: Export, name: str) -> Source:
    """Return the winner that a file holds. UserError if it has no value of the metric it was chosen by."""
    metric = export.training.metric
    if metric not in export.metrics.valid:
        raise UserError(f"{name}: metrics.valid: expected {metric}, by which it was chosen, but it is missing")
    params: Params = {str(section): values for section, values in export.parameters.items()}
    return Source(
        name=name,
        model=export.model,
        strategy=export.strategy,
        fingerprint=export.data_fingerprint,
        training=export.training.model_dump(include=RULE),
        configurations=(Configuration(params, export.metrics.valid[metric], name),),
    )
