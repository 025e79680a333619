"""The ids that users and items had before they were numbered from 0."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from recmodels.errors import DataError

USER_IDS, ITEM_IDS = "user_ids.tsv", "item_ids.tsv"


@dataclass(frozen=True)
class IdMaps:
    """`users[u]` is the original id of user u, `items[i]` that of item i."""

    users: Sequence[str]
    items: Sequence[str]


class IdSource:
    """The folder that original ids come from, and a function that reads them there.

    Ids are read when they are first asked for (unless they are `known`) and left out of pickles: a copy of a data set
    in another process reads them again.
    """

    def __init__(self, folder: Path, read: Callable[[Path], IdMaps], known: IdMaps | None = None):
        self.folder, self.read, self.known = folder, read, known

    def ids(self) -> IdMaps:
        """Return the original ids. Raises DataError for files that cannot be read."""
        if self.known is None:
            self.known = self.read(self.folder)
        return self.known

    def __reduce__(self) -> tuple[type["IdSource"], tuple[Path, Callable[[Path], IdMaps]]]:
        return IdSource, (self.folder.absolute(), self.read)


def read_id_tables(folder: Path, n_users: int, n_items: int) -> IdMaps:
    """Read user_ids.tsv and item_ids.tsv; the id of a number is the number itself if there is no such file.

    A table has a header, then a line for each number in order: the number, a tab, the original id. DataError.
    """
    return IdMaps(_read_table(folder / USER_IDS, n_users), _read_table(folder / ITEM_IDS, n_items))


def numbers_as_ids(n: int) -> list[str]:
    """Return the texts "0" to "n - 1"."""
    return [str(number) for number in range(n)]


def _read_table(path: Path, n: int) -> list[str]:
    if not path.is_file():
        return numbers_as_ids(n)
    try:
        lines = path.read_bytes().decode("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from None
    ids = []
    for index, line in enumerate(line.rstrip("\r") for line in lines[1:] if line.strip()):
        number, tab, original = line.partition("\t")
        if number != str(index) or not tab or not original:
            raise DataError(f"{path}:{index + 2}: found {line!r}, expected {index}, a tab and the original id")
        ids.append(original)
    return ids
