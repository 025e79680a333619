"""Make a data set folder from a user's table of interactions and files of features."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from recmodels.data import splits
from recmodels.data.formats.dialect import BY_ENDING, Dialect, ending, is_text
from recmodels.data.formats.tables import as_ids, as_numbers, column_names, read_columns
from recmodels.data.numbering import factorize, first_rows
from recmodels.errors import DataError, UserError
from recmodels.prepare import user_features
from recmodels.prepare.cleaning import cleaned
from recmodels.prepare.columns import USUAL, choose, is_usual, resolve, spare
from recmodels.prepare.folder import check_free, check_ids, describe, file_note, write_folder
from recmodels.prepare.interactions import Table
from recmodels.prepare.times import as_times

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
    dialect: Dialect = BY_ENDING,
) -> Path:
    """Make the folder `data_dir`/`name` from interactions, a row of `table` each, and item features; return its path.

    Rows rated below `min_rating` are left out; then, of rows with the same user and item, all but one: see
    `recmodels.prepare.cleaning.cleaned`; then those outside of the `k_core`. Users and items are numbered by first
    appearance. `rule` and `seed`: see `recmodels.data.splits.split`. Columns that are not named are found by usual
    names, times only for a `rule` that needs them and for repeats, ratings only for `min_rating`. `features`: texts as
    in `user_features.FORMS`; `encoder`: see `recmodels.prepare.text.encode`. `dialect`: of `table`, if it is text, and
    of text tables of features, see `Dialect.beside`. Raises DataError or UserError, one line, for a fault in a file or
    a parameter.
    """
    folder = data_dir / name
    check_free(folder, overwrite)
    sources = [user_features.parse(text) for text in features]
    modalities = [source.modality for source in sources]
    for modality in modalities:
        if modalities.count(modality) > 1:
            raise UserError(f"`features`: {modality!r} is there twice, expected each modality once")
    named = {"user": user_col, "item": item_col, "time": time_col, "rating": rating_col}
    _check_used(dialect, [table, *(source.path for source in sources if not source.ids)])
    found = column_names(table, dialect)
    columns = _columns(table, found, dialect, named, rule, min_rating)
    interactions, counts = cleaned(table, _read(table, dialect, columns, found), min_rating, k_core)
    check_ids(interactions, table)
    labels = splits.split(interactions.users, interactions.extra.get("timestamp"), rule, seed, table)
    matrices, notes = {}, {}
    item = (
        USUAL["item"][0] if dialect.header is False else columns["item"]
    )  # a position says nothing about other tables
    for source in sources:
        of_source = dialect.beside(table, source.path)
        loaded = user_features.load(source, interactions.item_ids, item, encoder, seed, of_source)
        matrices[source.modality], notes[source.modality] = loaded
    files = [table, *(file for source in sources for file in (source.path, source.ids) if file)]
    manifest = describe(
        name,
        ("numpy", "pandas", "pyarrow"),
        sources=[{"file": str(path), **file_note(path)} for path in dict.fromkeys(files)],
        columns=columns,
        columns_not_used=[name for name in found if name not in columns.values()],
        dialect={name: getattr(dialect, name) for name in dialect.given},
        repeats="the latest row counts" if "time" in columns else "the first row counts",
        options={"min_rating": min_rating, "k_core": k_core, "split": rule, "seed": seed},
        counts=counts | interactions.sizes(labels),
        features=notes,
    )
    write_folder(folder, interactions, labels, matrices, manifest, overwrite)
    n_users, n_items = len(interactions.user_ids), len(interactions.item_ids)
    log.info("%s: %d users, %d items, %d interactions", folder, n_users, n_items, len(interactions))
    return folder


def _read(path: Path, dialect: Dialect, columns: dict[str, str], found: Sequence[str]) -> Table:
    """Read all rows of the table; `extra`: rating and timestamp, if they are among the `columns`.

    If a user and an item are together in several rows, a column of times with a usual name is read too, and put into
    `columns`.
    """
    cells = read_columns(path, list(columns.values()), dialect)
    extra: dict[str, NDArray[Any]] = {}
    if "rating" in columns:
        extra["rating"] = as_numbers(path, columns["rating"], cells[columns["rating"]])
    if "time" in columns:
        extra["timestamp"] = as_times(path, columns["time"], cells[columns["time"]])
    users, user_ids = factorize(as_ids(path, columns["user"], cells[columns["user"]]))
    items, item_ids = factorize(as_ids(path, columns["item"], cells[columns["item"]]))
    if dialect.header is False and is_usual(user_ids[0]) and is_usual(item_ids[0]):
        raise DataError(f"{path}: row 1: {user_ids[0]!r} and {item_ids[0]!r} are names, expected no `header=False`")
    time = spare(found, "time", columns.values())
    if "time" not in columns and time and not first_rows(users, items).all():
        try:
            extra["timestamp"] = as_times(path, time, read_columns(path, [time], dialect)[time])
            columns["time"] = time
        except DataError as error:
            log.warning("%s; as nobody asked for this column, it is not used", error)
    return Table(users, items, user_ids.tolist(), item_ids.tolist(), extra)


def _columns(
    table: Path,
    found: Sequence[str],
    dialect: Dialect,
    named: dict[str, str | None],
    rule: str,
    min_rating: float | None,
) -> dict[str, str]:
    """Return the table's columns: of user and item, and of time and rating if they are named or needed."""
    columns = {}
    unneeded = {"time": rule not in splits.RULES or rule == "benchmark", "rating": min_rating is None}
    by_position = {"user": "0", "item": "1"} if dialect.header is False else {}
    for kind, name in named.items():
        if name is not None:
            columns[kind] = resolve(table, found, name)
        elif kind in by_position:
            columns[kind] = resolve(table, found, by_position[kind])
            log.info("%s: without a header, column %s is taken for the %s", table, columns[kind], kind)
        elif not unneeded.get(kind):
            columns[kind] = choose(table, found, USUAL[kind], kind, f"{kind}_col")
    for kind, column in columns.items():
        if list(columns.values()).count(column) > 1:
            raise UserError(f"{table}: {column!r} is the {kind} column and another too, expected different ones")
    rating = spare(found, "rating", columns.values())
    if rating and "rating" not in columns:
        log.info("%s: the ratings in %r are not used: each row is an interaction, whatever its rating", table, rating)
    return columns


def _check_used(dialect: Dialect, tables: Sequence[Path]) -> None:
    """Raise UserError for a dialect of text if no table is text."""
    if dialect.given and not any(map(is_text, tables)):
        raise UserError(f"`{dialect.given[0]}`: no meaning for {ending(tables[0])}, expected a text table such as .csv")
