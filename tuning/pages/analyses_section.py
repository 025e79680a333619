"""The section of a report about analyses of what the search has found."""

import os
from collections.abc import Sequence
from pathlib import Path

from tuning.pages.content import Content, Heading, Links, Section, Table, Text
from tuning.records import SearchFolder
from tuning.records.analyses import analyses_of


def analyses_sections(folders: Sequence[SearchFolder], page: Path) -> list[Section]:
    """Return a section with verdict, numbers and page of each analysis of these searches; none without an analysis.

    `page`: the folder of the report, which its links start from.
    """
    notes = {note.page: note for folder in folders for note in analyses_of(folder)}
    parts: list[Content] = []
    for note in notes.values():
        headings = tuple(Heading(text, number=place > 0) for place, text in enumerate(note.headings))
        title = f"{note.kind} of {', '.join(note.exports)}"
        parts += [Text(f"{title[0].upper()}{title[1:]}: {note.verdict}"), Table(title, headings, note.rows)]
    if not notes:
        return []
    links = tuple(
        (f"{note.kind} of {', '.join(note.exports)}", os.path.relpath(path, page)) for path, note in notes.items()
    )
    return [Section("analyses", "Analyses", (*parts, Links("Their pages, with all figures:", links)))]
