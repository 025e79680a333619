"""Write every point of a front of several objectives as a YAML file, from which it can be trained again."""

from collections.abc import Callable, Iterable
from pathlib import Path

from recmodels.errors import UserError
from tuning.export.model import Export
from tuning.export.winner import export_of, write_export
from tuning.records import SearchFolder, Tests, TrialRecord
from tuning.records.front import front_of
from tuning.spec import SearchSpec


def front_file(spec: SearchSpec, trial: str) -> Path:
    """Return the file of a point of the front: `best_configs/NAME-front-0003.yaml`, after the search and the trial."""
    return Path(spec.export_dir) / f"{spec.name}-front-{trial}.yaml"


def export_front(
    spec: SearchSpec,
    records: Iterable[TrialRecord],
    tests: Tests,
    folder: SearchFolder,
    say: Callable[[str], object],
) -> tuple[Path, ...]:
    """Write the points of the front of these records, and return their files, the best by the metric first.

    `tests`: the test metrics that may be seen; the export of a point whose are sealed has none. The search's files of
    points that have left the front are removed. A file that holds anything else stays, and `say` is told, as it is of
    a folder that cannot be written.
    """
    written = []
    points = front_of(spec.objectives, records).points
    try:
        for record in points:
            path = front_file(spec, record.trial)
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() and not _is_of(path, spec):
                say(f"{path}: kept, as it is no export of the search {spec.name}; trial {record.trial} has no file")
                continue
            write_export(path, export_of(spec, record, tests.get(record.trial, {}), folder), record.status, spec)
            written.append(path)
        for path in set(Path(spec.export_dir).glob(front_file(spec, "*").name)) - set(written):
            if _is_of(path, spec):
                path.unlink()
    except OSError as error:
        say(f"{spec.export_dir}: the points of the front cannot be written there ({error.strerror or error})")
    return tuple(written)


def _is_of(path: Path, spec: SearchSpec) -> bool:
    """Return whether a file is an export of the search."""
    try:
        return Export.read(path).search.name == spec.name
    except UserError:
        return False
