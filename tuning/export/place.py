"""Which export stays in a file that several searches want: the better one, where two can be compared."""

from pathlib import Path
from typing import NamedTuple

from recmodels.errors import UserError
from tuning.export.model import Export

ANYWAY = "--export-anyway replaces it"


class Place(NamedTuple):
    """The file of an export. `writes`: the export goes there. `stays`: another export, which stays there instead.

    Without either the file holds something else, which stays. `said`: what a person should know, a line each.
    """

    path: Path
    writes: bool
    stays: Export | None = None
    said: tuple[str, ...] = ()


def choose_place(export: Export, wanted: Path, own: Export | None, anyway: bool) -> Place:
    """Return the place of an export that would go to the file `wanted`.

    Of two exports of the same model, strategy, data and metric the one with the higher value stays, of two equal ones
    the older. An export of other data or another metric stays too, and the new one goes to a file beside it that is
    named after its metric and data. `own`: what the search itself exported before; the new export replaces it.
    `anyway`: replace whatever is in `wanted`.
    """
    said: tuple[str, ...] = ()
    for path in (wanted, _beside(wanted, export)):
        if not path.exists():
            return Place(path, True, said=said)
        try:
            found = Export.read(path)
            old, new = _value(found, path), _value(export, path)
        except UserError as error:
            fault = f"{error}; {'it was replaced' if anyway else f'it stays as it is, {ANYWAY}'}"
            return Place(path, anyway, said=(*said, fault))
        if found == export:
            return Place(path, True, said=said)
        differs = _difference(found, export)
        if anyway or found == own or (new > old and not differs):
            return Place(path, True, said=(*said, f"{path}: {_described(export)} replaces {_described(found)}"))
        if not differs:
            worse = "is not better" if new == old else "is worse"
            kept = f"{path}: kept {_described(found)}; {_described(export)} {worse}, {ANYWAY}"
            return Place(path, False, found, (*said, kept))
        said = (*said, f"{path}: kept {_described(found)}, of another {differs}; the new one goes beside it, {ANYWAY}")
    return Place(path, False, said=said)


def _difference(one: Export, other: Export) -> str | None:
    """Return why two exports cannot be compared; None if they can."""
    for what, first, second in (
        ("model", one.model, other.model),
        ("strategy", one.strategy, other.strategy),
        ("data set", one.data_fingerprint, other.data_fingerprint),
        ("metric", one.training.metric, other.training.metric),
    ):
        if first != second:
            return what
    return None


def _value(export: Export, source: Path) -> float:
    """Return the validation metric that the export was chosen by. UserError if the file has no value of it."""
    metric = export.training.metric
    if metric not in export.metrics.valid:
        raise UserError(f"{source}: metrics.valid: expected {metric}, by which it was chosen, but it is missing")
    return export.metrics.valid[metric]


def _described(export: Export) -> str:
    metric = export.training.metric
    return f"{metric} {export.metrics.valid[metric]:.6g} of the search {export.search.name}"


def _beside(wanted: Path, export: Export) -> Path:
    metric = export.training.metric.replace("@", "-")
    return wanted.with_name(f"{wanted.stem}-{metric}-{export.data_fingerprint[:8]}{wanted.suffix}")
