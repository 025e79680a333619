"""A table of interactions and features of the user's own -> a data set folder."""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recmodels.data import splits
from recmodels.data.formats.recbole import first_of_pairs
from recmodels.data.formats.tables import as_ids, as_numbers, as_text, column_names, read_columns
from recmodels.data.numbering import number
from recmodels.errors import DataError, UserError
from recmodels.prepare import kcore
from recmodels.prepare import user_features as own_features
from recmodels.prepare.columns import ITEM_COLUMNS, RATING_COLUMNS, TIME_COLUMNS, USER_COLUMNS, choose, resolve
from recmodels.prepare.folder import check_free, check_ids, write_folder

if TYPE_CHECKING:
    import pyarrow

log = logging.getLogger("mirrortune.prepare")


def prepare_own(
    table: Path,
    *,
    name: str,
    data_dir: Path,
    user_col: str | None = None,
    item_col: str | None = None,
    time_col: str | None = None,
    rating_col: str | None = None,
    min_rating: float | None = None,
    k_core: int | None = None,
    features: Sequence[str] = (),
    split: str = "benchmark",
    seed: int = 0,
    encoder: str = "auto",
    overwrite: bool = False,
) -> Path:
    """The folder `<data_dir>/<name>`, made from the interactions in `table`, a row each, and item features.

    Of rows with the same user and item the first counts; those rated below `min_rating` are left out; then the
    `k_core`, if any. Users and items are numbered by first appearance. Columns that are not named are found by usual
    names, times only for a `split` that needs them, ratings only for `min_rating`. `features`: as in
    `own_features.FORMS`. Raises DataError or UserError, one line, for whatever is wrong in a file or an option.
    """
    folder = data_dir / name
    check_free(folder, overwrite)
    sources = _sources(features)
    columns = _columns(table, user_col, item_col, time_col, rating_col, split, min_rating)
    rows, counts = _selected(table, _Rows.read(table, columns), min_rating, k_core)
    users, user_ids = number(rows.users)
    items, item_ids = number(rows.items)
    with _named(table):
        check_ids("user", user_ids.tolist())
        check_ids("item", item_ids.tolist())
        labels = splits.split(users, rows.extra.get("timestamp"), split, seed)
    _check_split(table, users, labels)
    made = {
        source.modality: own_features.load(source, item_ids.tolist(), columns["item"], encoder, seed)
        for source in sources
    }
    files = dict.fromkeys([table, *(file for source in sources for file in source.files)])
    manifest = {
        "name": name,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "sources": [_checksum(path) for path in files],
        "columns": columns,
        "options": {"min_rating": min_rating, "k_core": k_core, "split": split, "seed": seed},
        "counts": counts
        | {"users": len(user_ids), "items": len(item_ids), "interactions": len(users)}
        | {part: int((labels == label).sum()) for label, part in enumerate(("train", "valid", "test"))},
        "features": {modality: note for modality, (_, note) in made.items()},
        "versions": {package: version(package) for package in ("numpy", "pandas", "pyarrow")},
    }
    write_folder(
        folder,
        users=users,
        items=items,
        labels=labels,
        extra=rows.extra,
        features={modality: matrix for modality, (matrix, _) in made.items()},
        user_ids=user_ids.tolist(),
        item_ids=item_ids.tolist(),
        manifest=manifest,
        overwrite=overwrite,
    )
    log.info("%s: %d users, %d items, %d interactions", folder, len(user_ids), len(item_ids), len(users))
    return folder


@dataclass(frozen=True)
class _Rows:
    """Columns of the table, (n,) each. `extra`: rating and timestamp, where they are read."""

    users: NDArray[np.object_]
    items: NDArray[np.object_]
    extra: dict[str, NDArray[Any]]

    @classmethod
    def read(cls, table: Path, columns: dict[str, str]) -> "_Rows":
        cells = read_columns(table, list(columns.values()))
        extra: dict[str, NDArray[Any]] = {}
        if "rating" in columns:
            extra["rating"] = as_numbers(table, columns["rating"], cells[columns["rating"]])
        if "time" in columns:
            extra["timestamp"] = _times(table, columns["time"], cells[columns["time"]])
        users, items = (as_ids(table, columns[what], cells[columns[what]]) for what in ("user", "item"))
        return cls(users, items, extra)

    def __len__(self) -> int:
        return len(self.users)

    def kept(self, table: Path, keep: NDArray[np.bool_], why: str) -> tuple["_Rows", int]:
        """These rows, and how many were left out. DataError if none stays."""
        n_left_out = int((~keep).sum())
        if n_left_out:
            log.info("%s: left out %d of %d rows, which %s", table, n_left_out, len(self), why)
        if n_left_out == len(self):
            raise DataError(f"{table}: all {len(self)} rows that are left {why}, expected some to stay")
        extra = {name: values[keep] for name, values in self.extra.items()}
        return _Rows(self.users[keep], self.items[keep], extra), n_left_out


def _sources(features: Sequence[str]) -> list[own_features.Source]:
    sources = [own_features.parse(text) for text in features]
    modalities = [source.modality for source in sources]
    for modality in modalities:
        if modalities.count(modality) > 1:
            raise UserError(f"--features: {modality!r} is there twice, expected each modality once")
    return sources


def _selected(table: Path, rows: _Rows, min_rating: float | None, core: int | None) -> tuple[_Rows, dict[str, int]]:
    """The rows that become interactions, and how many were read and left out."""
    counts = {"rows": len(rows)}
    rows, counts["repeated"] = rows.kept(table, first_of_pairs(rows.users, rows.items), "repeat a user and an item")
    if min_rating is not None:
        high = rows.extra["rating"] >= min_rating
        rows, counts["rated_lower"] = rows.kept(table, high, f"are rated below {min_rating:g}")
    if core is not None:
        inside = kcore.k_core(number(rows.users)[0], number(rows.items)[0], core)
        rows, counts["outside_core"] = rows.kept(table, inside, f"are not in the {core}-core")
    return rows, counts


@contextmanager
def _named(table: Path) -> Iterator[None]:
    """A fault inside is one of the table."""
    try:
        yield
    except UserError as error:
        raise DataError(f"{table}: {error}") from None


def _check_split(table: Path, users: NDArray[np.int64], labels: NDArray[np.int8]) -> None:
    trained = np.isin(users, users[labels == 0])
    for label, part in ((1, "validation"), (2, "test")):
        if not trained[labels == label].any():
            raise DataError(f"{table}: every {part} row is of a user without a training row, expected another --split")


def _columns(
    table: Path,
    user_col: str | None,
    item_col: str | None,
    time_col: str | None,
    rating_col: str | None,
    split: str,
    min_rating: float | None,
) -> dict[str, str]:
    """user, item, and time and rating where they are named or needed -> the table's column."""
    found = column_names(table)
    columns = {}
    for what, named, usual, needed in (
        ("user", user_col, USER_COLUMNS, True),
        ("item", item_col, ITEM_COLUMNS, True),
        ("time", time_col, TIME_COLUMNS, split in splits.RULES and split != "benchmark"),
        ("rating", rating_col, RATING_COLUMNS, min_rating is not None),
    ):
        if named is not None:
            columns[what] = resolve(table, found, named)
        elif needed:
            columns[what] = choose(table, found, usual, what, f"--{what}-col")
    for what, column in columns.items():
        if list(columns.values()).count(column) > 1:
            raise UserError(f"{table}: {column!r} is the {what} column and another too, expected different ones")
    return columns


def _times(path: Path, name: str, column: "pyarrow.ChunkedArray") -> NDArray[np.int64]:
    """Numbers as they are, dates as seconds since 1970; in millionths where there are fractions."""
    import pyarrow as pa

    texts = as_text(path, name, column)
    if pa.types.is_temporal(column.type) or _is_date(texts[0]):
        dates = pd.to_datetime(pd.Series(texts, dtype=object), format="ISO8601", utc=True, errors="coerce")
        if dates.isna().any():
            row = int(dates.isna().to_numpy().argmax())
            raise DataError(f"{path}: row {row + 1}: {name} is {texts[row]!r}, expected a date such as 2024-01-31")
        seconds = (dates - pd.Timestamp(0, tz="UTC")).dt.total_seconds().to_numpy()
    else:
        seconds = as_numbers(path, name, column)
    scale = 1 if (np.floor(seconds) == seconds).all() else 10**6
    if np.abs(seconds).max() * scale > 2**62:
        raise DataError(f"{path}: {name} is up to {np.abs(seconds).max():g}, expected a time")
    return np.round(seconds * scale).astype(np.int64)


def _is_date(text: str) -> bool:
    return "-" in text[1:] and not pd.isna(pd.to_datetime(text, format="ISO8601", utc=True, errors="coerce"))


def _checksum(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"file": str(path), "bytes": path.stat().st_size, "sha256": digest}
