"""Read the texts of items from Amazon's metadata of any generation."""

import html
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from recmodels.errors import DataError
from recmodels.prepare.amazon_generations import NEW, OLD, metadata_year, unknown_keys
from recmodels.prepare.amazon_lines import Entry, is_python, lines_of, parsed

OWN_ASIN = re.compile(rb"""['"](?:parent_)?asin['"]:\s*(?:'([^'\\]*)'|"([^"\\]*)")""")
TEXT_KEYS = ("title", "brand", "store", "category", "categories", "description", "feature", "features")


class Texts(NamedTuple):
    """A text for each item, in the order of the rows, and the generation of the file.

    `n_missing`: items without metadata. `n_repeated`: further lines of an item, of which the first one counts.
    `n_nameless`: lines without an item id."""

    texts: list[str]
    years: str
    n_missing: int
    n_repeated: int
    n_nameless: int


def read_texts(path: Path, rows: Mapping[str, int]) -> Texts:
    """Read a text for each item of `rows` (item id -> row) from metadata of any generation.

    The file has a JSON object or a Python dictionary a line; all keys but the item id may be missing. Raises DataError,
    for keys of no generation with those that were found and those that are known.
    """
    entries: list[Entry | None] = [None] * len(rows)
    wanted = {asin.encode() for asin in rows}
    n_repeated, n_nameless, keys, python = 0, 0, set[str](), False
    for number, line in lines_of(path):
        python = is_python(line, python)
        found = {single or double for single, double in OWN_ASIN.findall(line)}
        if keys and found and not found & wanted:  # most lines are of other items: not worth parsing
            continue
        entry = parsed(path, number, line, python)
        asin = entry.get(NEW.item, entry.get(OLD.item))
        if not keys and not isinstance(asin, str):
            raise DataError(f"{path}:{number}: {unknown_keys(entry, 'metadata')}")
        keys.update(map(str, entry))
        row = rows.get(asin) if isinstance(asin, str) else None
        if row is None:
            n_nameless += not isinstance(asin, str)
        elif entries[row] is not None:
            n_repeated += 1
        else:
            entries[row] = {key: entry[key] for key in TEXT_KEYS if key in entry}
    years, kept = metadata_year(keys), [entry for entry in entries if entry is not None]
    if kept and not any(kept):
        raise DataError(f"{path}: {unknown_keys(sorted(keys), 'metadata')}")
    texts = [item_text(entry or {}, entities=years in ("2018", "2023")) for entry in entries]
    return Texts(texts, years, len(entries) - len(kept), n_repeated, n_nameless)


def item_text(entry: Entry, entities: bool = False) -> str:
    """Join title, brand or store, categories, description and features, with blanks in between.

    A missing part is a blank; features, which 2014 does not have, are left out without one. Of several paths of
    categories, as 2014 has them, the first one counts. `entities`: `&amp;` is taken as `&`, which the benchmark's texts
    of 2014 do not do.
    """
    parts = [entry.get("title"), entry.get("brand", entry.get("store")), entry.get("category", entry.get("categories"))]
    parts += [entry.get("description"), *(entry[key] for key in ("feature", "features") if entry.get(key))]
    text = " ".join(_words(part) or " " for part in parts).replace("\n", " ")
    text = html.unescape(text) if entities else text
    return text.encode(errors="replace").decode()  # half a character, as '\ud800' in the file is, goes to no encoder


def _words(part: object) -> str:
    """Return a text, or the texts in a list, of lists in a list those in the first; "" for any other."""
    if isinstance(part, str):
        return part
    first = part[0] if isinstance(part, list) and part and isinstance(part[0], list) else part
    return " ".join(word for word in first if isinstance(word, str)) if isinstance(first, list) else ""
