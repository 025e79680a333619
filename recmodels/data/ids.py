"""The ids that users and items had before they were numbered."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recmodels.data.dataset import RecDataset
from recmodels.data.formats.recbole import is_recbole, recbole_ids
from recmodels.errors import DataError

USER_IDS, ITEM_IDS = "user_ids.tsv", "item_ids.tsv"


@dataclass(frozen=True)
class IdMaps:
    """`users[u]` is the original id of user u, `items[i]` that of item i."""

    users: Sequence[str]
    items: Sequence[str]

    @classmethod
    def of(cls, data: RecDataset, folder: Path | None) -> "IdMaps":
        """Those of the folder that the data come from: its user_ids.tsv and item_ids.tsv, or RecBole's tokens.

        Where it has none, or there is no folder, an id is the number itself. Raises DataError for tables that do not
        fit the data.
        """
        if folder is not None and is_recbole(folder):
            users, items = recbole_ids(folder)
        else:
            users = _table(folder and folder / USER_IDS, data.n_users)
            items = _table(folder and folder / ITEM_IDS, data.n_items)
        if (len(users), len(items)) != (data.n_users, data.n_items):
            raise DataError(
                f"{folder}: ids of {len(users)} users and {len(items)} items, expected {data.n_users} and "
                f"{data.n_items} as in {data.name}"
            )
        return cls(users, items)


def _table(path: Path | None, n: int) -> list[str]:
    """The original ids in a table with a header and a line for each number in order; the numbers 0 to n - 1 without."""
    if path is None or not path.is_file():
        return [str(number) for number in range(n)]
    try:
        lines = path.read_bytes().decode("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from None
    ids = []
    for number, line in enumerate(line.rstrip("\r") for line in lines[1:] if line.strip()):
        ours, tab, original = line.partition("\t")
        if ours != str(number) or not tab or not original:
            raise DataError(f"{path}:{number + 2}: found {line!r}, expected {number}, a tab and the original id")
        ids.append(original)
    return ids
