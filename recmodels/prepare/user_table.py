"""Make a data set folder from a user's table of interactions and files of features."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recmodels.data import splits
from recmodels.data.formats.tables import as_ids, as_numbers, as_text, column_names, read_columns
from recmodels.data.numbering import factorize, first_rows
from recmodels.errors import DataError, UserError
from recmodels.prepare import kcore, user_features
from recmodels.prepare.columns import ITEM_COLUMNS, RATING_COLUMNS, TIME_COLUMNS, USER_COLUMNS, choose, resolve
from recmodels.prepare.folder import check_free, check_ids, file_note, write_folder

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
    rule: str = "benchmark",
    seed: int = 0,
    encoder: str = "auto",
    overwrite: bool = False,
) -> Path:
    """Make the folder `data_dir`/`name` from interactions, a row of `table` each, and item features; return its path.

    Of rows with the same user and item the first counts; then rows rated below `min_rating` are left out, then those
    outside of the `k_core`. Users and items are numbered by first appearance. `rule` and `seed`: see
    `recmodels.data.splits.split`. Columns that are not named are found by usual names, times only for a `rule` that
    needs them, ratings only for `min_rating`. `features`: texts as in `user_features.FORMS`; `encoder`: see
    `recmodels.prepare.text.encode`. Raises DataError or UserError, one line, for a fault in a file or a parameter.
    """
    folder = data_dir / name
    check_free(folder, overwrite)
    sources = _sources(features)
    named = {"user": user_col, "item": item_col, "time": time_col, "rating": rating_col}
    columns = _columns(table, named, rule, min_rating)
    rows, counts = _selected(table, _Rows.read(table, columns), min_rating, k_core)
    users, user_ids = factorize(rows.users)
    items, item_ids = factorize(rows.items)
    check_ids("user", user_ids.tolist(), table)
    check_ids("item", item_ids.tolist(), table)
    labels = splits.split(users, rows.extra.get("timestamp"), rule, seed, table)
    _check_split(table, users, labels)
    loaded = {
        source.modality: user_features.load(source, item_ids.tolist(), columns["item"], encoder, seed)
        for source in sources
    }
    files = dict.fromkeys([table, *(file for source in sources for file in source.files)])
    manifest = {
        "name": name,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "sources": [{"file": str(path), **file_note(path)} for path in files],
        "columns": columns,
        "options": {"min_rating": min_rating, "k_core": k_core, "split": rule, "seed": seed},
        "counts": counts
        | {"users": len(user_ids), "items": len(item_ids), "interactions": len(users)}
        | {part: int((labels == label).sum()) for label, part in enumerate(("train", "valid", "test"))},
        "features": {modality: note for modality, (_, note) in loaded.items()},
        "versions": {package: version(package) for package in ("numpy", "pandas", "pyarrow")},
    }
    write_folder(
        folder,
        users=users,
        items=items,
        labels=labels,
        extra=rows.extra,
        features={modality: matrix for modality, (matrix, _) in loaded.items()},
        user_ids=user_ids.tolist(),
        item_ids=item_ids.tolist(),
        manifest=manifest,
        overwrite=overwrite,
    )
    log.info("%s: %d users, %d items, %d interactions", folder, len(user_ids), len(item_ids), len(users))
    return folder


@dataclass(frozen=True)
class _Rows:
    """Columns of the table, (n,) each. `extra`: rating and timestamp, if they are read."""

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
        users, items = (as_ids(table, columns[kind], cells[columns[kind]]) for kind in ("user", "item"))
        return cls(users, items, extra)

    def __len__(self) -> int:
        return len(self.users)

    def select(self, table: Path, selected: NDArray[np.bool_], why: str) -> tuple["_Rows", int]:
        """Return the selected rows and the number of the others, which `why` describes. DataError if none stays."""
        n_left_out = int((~selected).sum())
        if n_left_out:
            log.info("%s: left out %d of %d rows, which %s", table, n_left_out, len(self), why)
        if n_left_out == len(self):
            raise DataError(f"{table}: all {len(self)} rows that are left {why}, expected some to stay")
        extra = {name: values[selected] for name, values in self.extra.items()}
        return _Rows(self.users[selected], self.items[selected], extra), n_left_out


def _sources(features: Sequence[str]) -> list[user_features.Source]:
    sources = [user_features.parse(text) for text in features]
    modalities = [source.modality for source in sources]
    for modality in modalities:
        if modalities.count(modality) > 1:
            raise UserError(f"`features`: {modality!r} is there twice, expected each modality once")
    return sources


def _selected(table: Path, rows: _Rows, min_rating: float | None, core: int | None) -> tuple[_Rows, dict[str, int]]:
    """Return the rows that become interactions, and the numbers of rows read and left out."""
    counts = {"rows": len(rows)}
    first = first_rows(factorize(rows.users)[0], factorize(rows.items)[0])
    rows, counts["repeated"] = rows.select(table, first, "repeat a user and an item")
    if min_rating is not None:
        high = rows.extra["rating"] >= min_rating
        rows, counts["rated_lower"] = rows.select(table, high, f"are rated below {min_rating:g}")
    if core is not None:
        inside = kcore.k_core(factorize(rows.users)[0], factorize(rows.items)[0], core)
        rows, counts["outside_core"] = rows.select(table, inside, f"are not in the {core}-core")
    return rows, counts


def _check_split(table: Path, users: NDArray[np.int64], labels: NDArray[np.int8]) -> None:
    trained = np.isin(users, users[labels == 0])
    for label, part in ((1, "validation"), (2, "test")):
        if not trained[labels == label].any():
            raise DataError(f"{table}: every {part} row is of a user without a training row, expected another `rule`")


def _columns(table: Path, named: dict[str, str | None], rule: str, min_rating: float | None) -> dict[str, str]:
    """Return the table's columns: of user and item, and of time and rating if they are named or needed."""
    found = column_names(table)
    columns = {}
    for kind, usual, needed in (
        ("user", USER_COLUMNS, True),
        ("item", ITEM_COLUMNS, True),
        ("time", TIME_COLUMNS, rule in splits.RULES and rule != "benchmark"),
        ("rating", RATING_COLUMNS, min_rating is not None),
    ):
        if (name := named[kind]) is not None:
            columns[kind] = resolve(table, found, name)
        elif needed:
            columns[kind] = choose(table, found, usual, kind, f"{kind}_col")
    for kind, column in columns.items():
        if list(columns.values()).count(column) > 1:
            raise UserError(f"{table}: {column!r} is the {kind} column and another too, expected different ones")
    return columns


def _times(path: Path, name: str, column: "pyarrow.ChunkedArray") -> NDArray[np.int64]:
    """Return integers: numbers as they are, dates in seconds since 1970; in millionths unless all are whole."""
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
