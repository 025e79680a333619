"""Write the winner of a search as one YAML file, from which it can be trained again."""

import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import get_args

from filelock import FileLock

from recmodels.errors import UserError
from recmodels.files import write_whole
from tuning.commandlines import replay_command
from tuning.export.mmrec import to_mmrec
from tuning.export.model import Export
from tuning.export.place import choose_place
from tuning.objectives import objectives_of
from tuning.records import Confirmation, SearchFolder, Status, TrialRecord
from tuning.spec import SearchSpec
from tuning.yaml_document import comment

log = logging.getLogger("mirrortune")


def export_name(spec: SearchSpec) -> str:
    """Return the file name of a search's winner: `GRCN-synthetic-clothing-mg.yaml`.

    Objectives besides the metric are in it, `GRCN-demo-mg-robustness.yaml`, as winners of different ones are not
    compared.
    """
    parts = (spec.model, spec.dataset, spec.strategy, *spec.objectives[1:])
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", f"{'-'.join(parts)}.yaml")


def check_export_dir(folder: Path) -> None:
    """Raise UserError, before hours of search, if no file can be written into the folder; it need not exist yet."""
    nearest = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise UserError(f"--export-dir {folder}: {nearest} is not a folder to write to")


def export_best(
    spec: SearchSpec,
    record: TrialRecord,
    test: Mapping[str, float],
    folder: SearchFolder,
    say: Callable[[str], object] = log.warning,
    confirmation: Confirmation | None = None,
) -> Path:
    """Write the winner as best.yaml into the search's folder and, by the rule of `choose_place`, into `export_dir`.

    Returns the file that holds the winner: the one in `export_dir`, or best.yaml if another export stays there. `test`:
    the winner's test metrics. `say` is told, a line each, what was kept and what was replaced. `confirmation`: by which
    this trial was chosen. If the spec asks for mmrec, the export in `export_dir` is also written as `...-mmrec.yaml`
    beside it; UserError if MMRec cannot train it.
    """
    export = export_of(spec, record, test, folder, confirmation)
    path = Path(spec.export_dir) / export_name(spec)
    place = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.parent / ".lock"):  # of two searches that end together the second sees the first's export
            place = choose_place(export, path, _exported_before(folder), spec.export_anyway)
            if place.writes:
                write_export(place.path, export, record.status, spec)
    except OSError as error:
        say(f"{path}: cannot be written ({error.strerror or error}); the winner is in {folder.best}")
    write_export(folder.best, export, record.status, spec)
    for line in place.said if place else ():
        say(line)
    if place and spec.export_format == "mmrec":
        _write_mmrec(place.path, export if place.writes else place.stays, new=place.writes)
    return place.path if place and place.writes else folder.best


def _exported_before(folder: SearchFolder) -> Export | None:
    """Return what this search exported at an earlier end."""
    try:
        return Export.read(folder.best)
    except UserError:  # it has none, or one that was damaged, which is written again
        return None


def write_export(path: Path, export: Export, status: Status, spec: SearchSpec) -> None:
    """Write an export of a search, with comments that say what it is. `status`: of its trial."""
    write_whole(path, comment(_header(export, status, replay_command(path, spec.data_dir))) + export.to_yaml())


def _write_mmrec(path: Path, export: Export | None, new: bool) -> None:
    target = path.with_name(f"{path.stem}-mmrec.yaml")
    if export and (new or not target.exists()):
        write_whole(target, to_mmrec(export))


def export_of(
    spec: SearchSpec,
    record: TrialRecord,
    test: Mapping[str, float],
    folder: SearchFolder,
    confirmation: Confirmation | None = None,
) -> Export:
    """Return a search's winner, or a point of its front, whose record this is, as an Export."""
    from recmodels.training.strategies import is_reconstruction  # it loads torch

    counts = Counter(other.status for other in folder.ledger().values() if other.role != "baseline")
    environment = folder.environment()
    assert environment is not None  # a search that has a winner was started
    trials = {status: counts[status] for status in get_args(Status)}
    own = {"epochs": record.epochs, "best_epoch": record.best_epoch, "ks": spec.training.cutoffs}
    content = {
        **spec.model_dump(include={"model", "dataset", "strategy"}),
        "reconstruction": is_reconstruction(spec.strategy),
        "parameters": record.params,
        "seed": record.seed,
        "training": own | spec.training.model_dump(include={"metric", "max_epochs", "patience", "eval_every"}),
        "metrics": {"valid": record.valid, "test": test},
        "popularity": folder.popularity(),
        "data_fingerprint": environment.data.fingerprint,
        "versions": environment.versions,
        "threads": record.threads,
        "device": record.device,
        "search": {
            "name": spec.name,
            "trials": trials,
            "sampler": spec.sampler,
            "scheduler": spec.scheduler.name,
            "told": spec.warm_start.told,
        },
        "confirmation": confirmation,
        "objectives": {each.name: each.of(record) for each in objectives_of(spec.objectives)},
    }
    return Export.model_validate(content)


def _header(export: Export, status: Status, replay: str) -> list[str]:
    values = [f"{name} {value:.4g}" for name, value in export.objectives.items() if value is not None]
    on_front = values and len(values) == len(export.objectives)
    what, by = ("A point of the front", ", ".join(values)) if on_front else ("The best", export.training.metric)
    lines = [
        f"{what} of the search {export.search.name}: {export.model} on {export.dataset}, strategy {export.strategy}.",
        f"Chosen by {by} on validation; test metrics had no part in the choice.",
        *([export.confirmation.choice, export.confirmation.verdict] if export.confirmation else []),
    ]
    if status != "finished":
        lines.append(f"No trial finished: this one had been stopped early, after {export.training.epochs} epochs.")
    return [*lines, "To train it again:", f"  {replay}"]
