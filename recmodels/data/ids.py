"""The ids that users and items had before they were numbered from 0."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from recmodels.errors import DataError
from recmodels.files import read_text

USER_IDS, ITEM_IDS = "user_ids.tsv", "item_ids.tsv"


class IdMaps(NamedTuple):
    """`users[u]` is the original id of user u, `items[i]` that of item i."""

    users: Sequence[str]
    items: Sequence[str]


class IdSource(NamedTuple):
    """Folder of the original ids, absolute, and a function that reads them there.

    A data set holds this instead of its ids, so that its copies in other processes stay small.
    """

    folder: Path
    read: Callable[[Path], IdMaps]


def read_id_tables(folder: Path, n_users: int, n_items: int) -> IdMaps:
    """Read user_ids.tsv and item_ids.tsv; the id of a number is the number itself if there is no such file.

    A table has a header, then a line for each number in order: the number, a tab, the original id. Raises DataError.
    """
    return IdMaps(_read_table(folder / USER_IDS, n_users), _read_table(folder / ITEM_IDS, n_items))


def numbers_as_ids(n: int) -> list[str]:
    """Return the texts "0" to "n - 1"."""
    return [str(number) for number in range(n)]


def _read_table(path: Path, n: int) -> list[str]:
    if not path.is_file():
        return numbers_as_ids(n)
    lines = read_text(path).split("\n")[1:]
    ids = []
    for index, line in enumerate(line.rstrip("\r") for line in lines if line.strip()):
        number, tab, original = line.partition("\t")
        if number != str(index) or not tab or not original:
            raise DataError(f"{path}:{index + 2}: found {line!r}, expected {index}, a tab and the original id")
        ids.append(original)
    return ids
