"""How a text table is written: what separates its cells, its encoding, its header, what quotation marks mean in it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

from recmodels.errors import UserError, did_you_mean

JSON = (".jsonl", ".ndjson", ".json")
QUOTES = ("double", "backslash", "none")
SEPARATORS = {",": "','", ";": "';'", "\t": "tab", "|": "'|'", "::": "'::'", " ": "' '"}
"""Usual separators, and their names in messages."""
NUMBER = re.compile(r"\s*[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?\s*")
DATE = re.compile(r"\s*\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ].*)?")


@dataclass(frozen=True)
class Dialect:
    r"""The dialect of a text table. What is None is decided by the file.

    `sep`: text between two cells, of any length; "\\t" and "tab" mean a tab. None: a comma in .csv, a tab in others.
    `encoding`: a name that Python knows. None: UTF-8, or UTF-16 if the file begins with its byte-order mark.
    `header`: whether the first row has the names; without a header they are "0", "1", ... None: it has, and names that
    are all numbers are an error.
    `quote`: of QUOTES. "double": a mark at both ends of a cell encloses it, and two inside of it stand for one;
    "backslash": the same, and backslash and mark stand for one too; "none": marks are text. None: double in .csv and
    .tsv; text in others, where a cell that may be enclosed by marks is an error.

    Raises UserError, which names the parameter, for an invalid value.
    """

    sep: str | None = None
    encoding: str | None = None
    header: bool | None = None
    quote: str | None = None

    def __post_init__(self) -> None:
        if self.sep is not None:
            object.__setattr__(self, "sep", "\t" if self.sep in ("tab", r"\t") else self.sep)
            if not self.sep or any(each.isalnum() or each in '"\r\n\0' for each in self.sep):
                expected = "expected a text without letters, digits, quotation marks and line ends"
                raise UserError(f"`sep` {self.sep!r}: {expected}, or tab")
        if self.quote is not None and self.quote not in QUOTES:
            raise UserError(f"`quote` {self.quote}: expected one of {', '.join(QUOTES)}")
        if self.quote == "backslash" and "\\" in (self.sep or ""):
            raise UserError(f"`sep` {self.sep!r}: expected no backslash, as `quote` backslash gives it a meaning")
        try:
            b"a\0\0\0".decode(self.encoding or "utf-8", "ignore")
        except (LookupError, UnicodeError):
            near = did_you_mean(
                self.encoding or "", ("utf-8", "utf-16", "latin-1", "cp1252", "cp1251", "gbk", "shift_jis")
            )
            raise UserError(f"`encoding` {self.encoding}: no known encoding of text{near}") from None

    @property
    def given(self) -> list[str]:
        """The names of the parameters that are not None."""
        return [field.name for field in fields(self) if getattr(self, field.name) is not None]

    def of(self, path: Path) -> "Dialect":
        """Return the dialect of the text table at `path`: `sep` and `quote` by its ending where they are None.

        `quote` stays None if marks are text in files of this ending unless they could enclose cells.
        """
        kind = ending(path)
        sep = self.sep or ("," if kind == ".csv" else "\t")
        quote = self.quote or ("double" if kind in (".csv", ".tsv") else None)
        return Dialect(sep, self.encoding, self.header, quote)

    def beside(self, table: Path, other: Path) -> "Dialect":
        """Return the dialect of another file, where `table` has this one.

        It is the same if their names end alike; else only encoding and quotation marks are.
        """
        if not is_text(other):
            return BY_ENDING
        alike = ending(other) == ending(table) or not is_text(table)
        return self if alike else Dialect(encoding=self.encoding, quote=self.quote)


def ending(path: Path) -> str:
    """Return the file's ending in lower case; .csv for ratings.CSV.gz."""
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def is_text(path: Path) -> bool:
    """Return whether the file at `path` is a text table by its ending, which is what has a dialect."""
    return ending(path) not in (".parquet", *JSON)


def are_numbers(cells: Iterable[str]) -> bool:
    """Return whether all cells with something in them are numbers or dates, and there is one."""
    filled = [cell for cell in cells if cell.strip()]
    return bool(filled) and all(NUMBER.fullmatch(cell) or DATE.fullmatch(cell) for cell in filled)


BY_ENDING = Dialect()
"""Everything is decided by the file."""
