"""Write the winner of a search as one YAML file, from which it can be trained again."""

import re
from collections import Counter
from pathlib import Path
from typing import get_args

from recmodels.files import write_whole
from tuning.commandlines import replay_command
from tuning.export.mmrec import to_mmrec
from tuning.export.model import Export
from tuning.records import SearchFolder, Status, TrialRecord
from tuning.spec import SearchSpec
from tuning.yaml_document import comment


def export_name(spec: SearchSpec) -> str:
    """Return the file name of a search's winner: `GRCN-synthetic-clothing-mg.yaml`."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", f"{spec.model}-{spec.dataset}-{spec.strategy}.yaml")


def export_best(spec: SearchSpec, record: TrialRecord, folder: SearchFolder) -> Path:
    """Write the winner into the spec's `export_dir` and as best.yaml into the search's folder; return the first file.

    If the spec asks for mmrec, write `...-mmrec.yaml` beside it. UserError if MMRec cannot train the winner.
    """
    export = _export(spec, record, folder)
    path = Path(spec.export_dir) / export_name(spec)
    for target in (path, folder.best):
        header = _header(export, record.status, replay_command(target, spec.data_dir))
        write_whole(target, comment(header) + export.to_yaml())
    if spec.export_format == "mmrec":
        write_whole(path.with_name(f"{path.stem}-mmrec.yaml"), to_mmrec(export))
    return path


def _export(spec: SearchSpec, record: TrialRecord, folder: SearchFolder) -> Export:
    """Return a search's winner, whose record this is, as an Export."""
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
        "training": own | spec.training.model_dump(include={"metric", "max_epochs", "patience"}),
        "metrics": record.scores,
        "popularity": folder.popularity(),
        "data_fingerprint": environment.data.fingerprint,
        "versions": environment.versions,
        "threads": record.threads,
        "device": record.device,
        "search": {"name": spec.name, "trials": trials, "sampler": spec.sampler, "scheduler": spec.scheduler.name},
    }
    return Export.model_validate(content)


def _header(export: Export, status: Status, replay: str) -> list[str]:
    lines = [
        f"The best of the search {export.search.name}: {export.model} on {export.dataset}, strategy {export.strategy}.",
        f"Chosen by {export.training.metric} on validation; test metrics had no part in the choice.",
    ]
    if status != "finished":
        lines.append(f"No trial finished: this one had been stopped early, after {export.training.epochs} epochs.")
    return [*lines, "To train it again:", f"  {replay}"]
