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

    Of two exports of the same model, strategy, data and metric the one stays that was confirmed on fresh seeds, else
    the one with the higher value, which is the mean over these seeds where both were; of two equal ones the older. An
    export of other data or another metric stays too, and the new one goes to a file beside it that is named after its
    metric and data. `own`: what the search itself exported before; the new export replaces it, if it is confirmed as
    well.
    `anyway`: replace whatever is in `wanted`.
    """
    said: tuple[str, ...] = ()
    for path in (wanted, _beside(wanted, export)):
        if not path.exists():
            return Place(path, True, said=said)
        try:
            found = Export.read(path)
            old, new = _rank(found, path), _rank(export, path)
        except UserError as error:
            fault = f"{error}; {'it was replaced' if anyway else f'it stays as it is, {ANYWAY}'}"
            return Place(path, anyway, said=(*said, fault))
        if found == export:
            return Place(path, True, said=said)
        differs = _difference(found, export)
        goes_on = found == own and new.confirmed >= old.confirmed
        if anyway or goes_on or (new > old and not differs):
            return Place(path, True, said=(*said, f"{path}: {_described(export)} replaces {_described(found)}"))
        if not differs:
            worse = (
                "is not better" if new == old else "is not confirmed" if new.confirmed < old.confirmed else "is worse"
            )
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


class _Rank(NamedTuple):
    """What an export is measured by: a value of one seed is the luckiest of many and says less than a mean."""

    confirmed: bool
    value: float


def _rank(export: Export, source: Path) -> _Rank:
    """Return the validation metric that the export was chosen by. UserError if the file has no value of it."""
    metric = export.training.metric
    if export.confirmation:
        return _Rank(True, export.confirmation.valid.mean)
    if metric not in export.metrics.valid:
        raise UserError(f"{source}: metrics.valid: expected {metric}, by which it was chosen, but it is missing")
    return _Rank(False, export.metrics.valid[metric])


def _described(export: Export) -> str:
    metric, confirmation = export.training.metric, export.confirmation
    value, seeds = export.metrics.valid.get(metric, 0.0), ""
    if confirmation:
        value, seeds = confirmation.valid.mean, f" on {len(confirmation.seeds)} fresh seeds"
    return f"{metric} {value:.6g}{seeds} of the search {export.search.name}"


def _beside(wanted: Path, export: Export) -> Path:
    metric = export.training.metric.replace("@", "-")
    return wanted.with_name(f"{wanted.stem}-{metric}-{export.data_fingerprint[:8]}{wanted.suffix}")
