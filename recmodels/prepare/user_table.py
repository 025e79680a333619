"""Make a data set folder from a user's table of interactions and files of features."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recmodels.data import splits
from recmodels.data.formats.tables import as_ids, as_numbers, as_text, column_names, read_columns
from recmodels.data.numbering import factorize, first_rows
from recmodels.errors import DataError, UserError
from recmodels.prepare import user_features
from recmodels.prepare.columns import USUAL, choose, resolve
from recmodels.prepare.folder import check_free, check_ids, describe, file_note, write_folder
from recmodels.prepare.interactions import Table, k_core

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
    sources = [user_features.parse(text) for text in features]
    modalities = [source.modality for source in sources]
    for modality in modalities:
        if modalities.count(modality) > 1:
            raise UserError(f"`features`: {modality!r} is there twice, expected each modality once")
    named = {"user": user_col, "item": item_col, "time": time_col, "rating": rating_col}
    columns = _columns(table, named, rule, min_rating)
    interactions, counts = _selected(table, _read(table, columns), min_rating, k_core)
    check_ids(interactions, table)
    labels = splits.split(interactions.users, interactions.extra.get("timestamp"), rule, seed, table)
    matrices, notes = {}, {}
    for source in sources:
        found = user_features.load(source, interactions.item_ids, columns["item"], encoder, seed)
        matrices[source.modality], notes[source.modality] = found
    files = [table, *(file for source in sources for file in (source.path, source.ids) if file)]
    manifest = describe(
        name,
        ("numpy", "pandas", "pyarrow"),
        sources=[{"file": str(path), **file_note(path)} for path in dict.fromkeys(files)],
        columns=columns,
        options={"min_rating": min_rating, "k_core": k_core, "split": rule, "seed": seed},
        counts=counts | interactions.sizes(labels),
        features=notes,
    )
    write_folder(folder, interactions, labels, matrices, manifest, overwrite)
    n_users, n_items = len(interactions.user_ids), len(interactions.item_ids)
    log.info("%s: %d users, %d items, %d interactions", folder, n_users, n_items, len(interactions))
    return folder


def _read(path: Path, columns: dict[str, str]) -> Table:
    """Read all rows of the table; `extra`: rating and timestamp, if they are among the `columns`."""
    found = read_columns(path, list(columns.values()))
    extra: dict[str, NDArray[Any]] = {}
    if "rating" in columns:
        extra["rating"] = as_numbers(path, columns["rating"], found[columns["rating"]])
    if "time" in columns:
        extra["timestamp"] = _times(path, columns["time"], found[columns["time"]])
    users, user_ids = factorize(as_ids(path, columns["user"], found[columns["user"]]))
    items, item_ids = factorize(as_ids(path, columns["item"], found[columns["item"]]))
    return Table(users, items, user_ids.tolist(), item_ids.tolist(), extra)


def _selected(path: Path, table: Table, min_rating: float | None, core: int | None) -> tuple[Table, dict[str, int]]:
    """Return the rows that become interactions, and the numbers of rows read and left out."""
    counts = {"rows": len(table)}
    table, counts["repeated"] = _select(path, table, first_rows(table.users, table.items), "repeat a user and an item")
    if min_rating is not None:
        high = table.extra["rating"] >= min_rating
        table, counts["rated_lower"] = _select(path, table, high, f"are rated below {min_rating:g}")
    if core is not None:
        inside = k_core(table.users, table.items, core)
        table, counts["outside_core"] = _select(path, table, inside, f"are not in the {core}-core")
    return table, counts


def _select(path: Path, table: Table, rows: NDArray[np.bool_], why: str) -> tuple[Table, int]:
    """Return the selected rows and the number of the others, which `why` describes. Raises DataError if none stays."""
    n_left_out = int((~rows).sum())
    if n_left_out:
        log.info("%s: left out %d of %d rows, which %s", path, n_left_out, len(table), why)
    if n_left_out == len(table):
        raise DataError(f"{path}: all {len(table)} rows that are left {why}, expected some to stay")
    return table.select(rows), n_left_out


def _columns(table: Path, named: dict[str, str | None], rule: str, min_rating: float | None) -> dict[str, str]:
    """Return the table's columns: of user and item, and of time and rating if they are named or needed."""
    found = column_names(table)
    columns = {}
    unneeded = {"time": rule not in splits.RULES or rule == "benchmark", "rating": min_rating is None}
    for kind, name in named.items():
        if name is not None:
            columns[kind] = resolve(table, found, name)
        elif not unneeded.get(kind):
            columns[kind] = choose(table, found, USUAL[kind], kind, f"{kind}_col")
    for kind, column in columns.items():
        if list(columns.values()).count(column) > 1:
            raise UserError(f"{table}: {column!r} is the {kind} column and another too, expected different ones")
    return columns


def _times(path: Path, name: str, column: "pyarrow.ChunkedArray") -> NDArray[np.int64]:
    """Return integers: numbers as they are, dates in seconds since 1970; in millionths unless all are whole."""
    import pyarrow as pa

    texts = as_text(path, name, column)
    dated = "-" in texts[0][1:] and not pd.isna(pd.to_datetime(texts[0], format="ISO8601", utc=True, errors="coerce"))
    if pa.types.is_temporal(column.type) or dated:
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
