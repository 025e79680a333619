"""What all kinds of `analyze` share: the exports, their data and weights, and the folder of the results."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path

from filelock import FileLock, Timeout
from rich.console import Console
from torch import Tensor

from recmodels.data import RecDataset
from recmodels.errors import UserError
from tuning.analyses.fixed import Fixed
from tuning.analyses.subjects import Analyzed, Origin, Subject, folder_name, model_of, read_subjects, weights_of
from tuning.cli.arguments import Given
from tuning.cli.datasets import load_data
from tuning.cli.replay import with_progress
from tuning.execution.trial import fallback
from tuning.export import Export
from tuning.export.weights import disagreement
from tuning.pages.content import Table
from tuning.records import SearchFolder
from tuning.records.analyses import AnalysisNote, note_analysis
from tuning.reports.tables import Column, say, table
from tuning.spec import SearchSpec
from tuning.tracking.attach import attach

log = logging.getLogger("mirrortune")


@contextmanager
def analysis_folder(given: Given, labels: Sequence[str]) -> Iterator[Path]:
    """Make the folder of the results and keep other processes out of it. UserError if that is not possible.

    `labels`: of what is analysed.
    """
    folder = given.get("output") or Path("analyses") / folder_name(labels)
    nearest = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise UserError(f"--output {folder}: {nearest} is not a folder to write to")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield folder
    except Timeout:
        raise UserError(f"{folder}: an analysis in another process writes there") from None


def load_analyzed(
    given: Given, subjects: tuple[Subject, ...], data: RecDataset, folder: Path, console: Console
) -> Analyzed:
    """Find the weights of the exports, or train them again, and check that their metrics are the exported ones."""
    searches = given.get("output_dir") or Path(SearchSpec.model_fields["output_dir"].default)

    def train(export: Export, data: RecDataset) -> dict[str, Tensor]:
        return with_progress(export, data, console).weights

    files = given.get("weights", [None] * len(subjects))
    weights = tuple(
        weights_of(subject, data, searches, folder / "weights", train, file)
        for subject, file in zip(subjects, files, strict=True)
    )
    for subject, own in zip(subjects, weights, strict=True):
        if line := fallback(subject.export.device):
            log.warning("%s: %s", subject.label, line)
        if differs := disagreement(subject.export, model_of(subject, own, data), data):
            log.warning("warning: %s: %s", subject.label, differs)
        say(console, f"{subject.label}: weights {own.source}, {own.path}")
    return Analyzed(data, subjects, weights)


def read_analyzed(given: Given) -> tuple[tuple[Subject, ...], RecDataset]:
    """Read the exports and their data set, before anything is written. UserError for bad input."""
    subjects, files = read_subjects(given["exports"]), given.get("weights", [])
    if files and len(files) != len(subjects):
        raise UserError(f"--weights: expected a file for each of {len(subjects)} exports, in their order")
    for path in files:
        if not path.is_file():
            raise UserError(f"--weights {path}: no such file, expected weights such as best-0012.safetensors")
    export = subjects[0].export
    data = load_data(export.dataset, given)
    if data.fingerprint != export.data_fingerprint:
        log.warning("warning: %s is not the data of the exports", export.dataset)
    return subjects, data


def fixed_of(given: Given, analyzed: Analyzed) -> Fixed:
    """Return the loss that the options name, by default with the batch size of the first export."""
    batch_size = given.get("batch_size", analyzed.subjects[0].export.parameters["train"]["batch_size"])
    return Fixed(given["batches"], batch_size, given["seed"])


def show(made: Table, console: Console) -> None:
    """Print a table of a page on the terminal."""
    columns = [
        Column[Sequence[str]](heading.text, itemgetter(place), str, "right" if heading.number else "left")
        for place, heading in enumerate(made.headings)
    ]
    console.print(table(columns, made.rows))


def publish(kind: str, verdict: str, numbers: Table, origin: Origin, folder: Path, console: Console) -> None:
    """Tell the searches that the weights are from of an analysis: their reports get a section, their runs in MLflow the
    files of the analysis. A search that cannot be told is one line; the analysis itself is done."""
    files = [file for end in ("html", "md", "png", "pdf", "json", "csv") if (file := folder / f"{kind}.{end}").exists()]
    note = AnalysisNote(
        kind,
        origin.labels,
        verdict,
        tuple(heading.text for heading in numbers.headings),
        numbers.rows,
        str(files[0].resolve()),
    )
    for path in origin.searches:
        try:
            note_analysis(SearchFolder(path), note)
            if attach(SearchFolder(path), files):
                say(console, f"{path.name}: its run in MLflow has the files")
        except Exception as error:  # a store may raise anything
            say(console, f"{path.name}: not told of the analysis ({' '.join(str(error).split())[:300]})")
