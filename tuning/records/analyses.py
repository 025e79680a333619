"""What a search's folder knows of analyses of its winner: analyses.jsonl, a line each, append-only."""

from dataclasses import asdict, dataclass
from pathlib import Path

from recmodels.errors import UserError
from recmodels.files import append_line, read_lines
from tuning.records.folder import SearchFolder


@dataclass(frozen=True)
class AnalysisNote:
    """What a report says of an analysis.

    `kind`: such as landscape. `exports`: their labels. `verdict`: its first words. `headings` and `rows`: its main
    numbers as text. `page`: the file of the whole, an absolute path.
    """

    kind: str
    exports: tuple[str, ...]
    verdict: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    page: str


def note_analysis(folder: SearchFolder, note: AnalysisNote) -> None:
    """Add a note to a search's folder; one of the same page replaces it."""
    append_line(_file(folder), asdict(note), sync=True)


def analyses_of(folder: SearchFolder) -> list[AnalysisNote]:
    """Return the notes of a search's folder, of each page the latest. UserError for a damaged file."""
    latest = {}
    for row in read_lines(_file(folder)):
        try:
            values = row | {"exports": tuple(row["exports"]), "headings": tuple(row["headings"])}
            latest[row["page"]] = AnalysisNote(**values | {"rows": tuple(map(tuple, row["rows"]))})
        except (KeyError, TypeError) as error:
            raise UserError(f"{_file(folder)}: not notes of analyses ({error})") from None
    return list(latest.values())


def _file(folder: SearchFolder) -> Path:
    return folder.path / "analyses.jsonl"
