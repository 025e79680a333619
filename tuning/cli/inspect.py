"""`run_search.py inspect NAME`: what a data set holds, before a search spends hours on it."""

import json
import logging
from argparse import SUPPRESS
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tuning.cli.options import Parser

if TYPE_CHECKING:
    from recmodels.data.dataset import RecDataset

Facts = dict[str, Any]

SPLITS = {"train": "training", "valid": "validation", "test": "test"}
COMMONEST = {None: "-", "zero": "all zero", "mean": "the mean", "other": "neither zero nor the mean"}


def main(argv: Sequence[str], console: Console) -> int:
    """0; UserError for an unknown name or whatever is wrong in the data."""
    from recmodels.data import load_dataset

    given = parser().parse(argv)
    directories = [Path(given[name]) if name in given else None for name in ("data_dir", "cache_dir")]
    with kept_warnings() as warnings:
        facts = gather(load_dataset(given["name"], *directories))
    facts["warnings"] = warnings
    if "json" in given:
        print(json.dumps(facts, indent=1))
    else:
        show(facts, console)
    return 0


def parser() -> Parser:
    made = Parser(
        prog="run_search.py inspect",
        description="What a data set holds: sizes, degrees, cold items, features, leaks, popularity's metrics.",
        argument_default=SUPPRESS,
        allow_abbrev=False,
    )
    made.add_argument("name", metavar="NAME", help="as for --dataset; also with corruptions, such as demo@noise=0.1")
    made.add_argument("--data-dir", metavar="DIR", help="folder that holds the data set folders")
    made.add_argument("--cache-dir", metavar="DIR", help="where parsed data are kept (default: the user's cache)")
    made.add_argument("--json", action="store_true", help="print JSON")
    return made


@contextmanager
def kept_warnings() -> Iterator[list[str]]:
    """The loaders' warnings, which are a part of the report and stay out of the JSON."""
    found: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.getMessage())

    logger, handler = logging.getLogger("mirrortune.data"), Keep(logging.WARNING)
    logger.addHandler(handler)
    before, logger.propagate = logger.propagate, False
    try:
        yield found
    finally:
        logger.removeHandler(handler)
        logger.propagate = before


def gather(data: "RecDataset") -> Facts:
    """All that is known of the data, as plain JSON. `as_published`: None where no published set has the name."""
    from recmodels.data.inspection import inspect_data
    from recmodels.evaluation import popularity_scores
    from tuning.spec import Training

    return {
        **inspect_data(data),
        "as_published": as_published(data),
        "popularity": popularity_scores(data, Training().cutoffs),
    }


def as_published(data: "RecDataset") -> bool | None:
    """Whether a data set that carries a known name has the published sizes; the loader warns if not."""
    from recmodels.data.published import FOLDER_NAMES, KNOWN, difference

    if FOLDER_NAMES.get(data.name, data.name) not in KNOWN:
        return None
    splits = [len(part) for part in (data.train, data.valid, data.test)]
    return difference(data.name, data.n_users, data.n_items, splits) is None


def show(facts: Facts, console: Console) -> None:
    """The facts as lines and tables of plain text."""
    lists = facts["sizes"]["ranked_against"]
    sections = {
        f"{facts['name']} (fingerprint {facts['fingerprint'][:12]})": sizes_table(facts),
        "training interactions": degrees_table(facts["degrees"]),
        "without a training interaction": cold_table(facts["cold"]),
        "features": features_table(facts["features"]),
        "row norms": percentiles_table({name: each["norms"] for name, each in facts["features"].items()}),
        "(user, item) pairs in more than one place": leaks_table(facts["leaks"]),
        f"popularity, ranked against {'its lists' if lists else 'all items'}": popularity_table(facts["popularity"]),
    }
    for title, table in sections.items():
        console.print(title, markup=False, highlight=False, soft_wrap=True)
        console.print(table if table.row_count else "  none")
        console.print()
    if facts["as_published"]:
        console.print("sizes as published", markup=False, highlight=False)
    for text in facts["warnings"]:
        console.print(f"warning: {text}", markup=False, highlight=False, soft_wrap=True)


def sizes_table(facts: Facts) -> Table:
    sizes = facts["sizes"]
    rows = {SPLITS[name]: list(split.values()) for name, split in facts["splits"].items()}
    rows["all"] = [sizes["interactions"], sizes["users"], sizes["items"]]
    table = made_table(["split", "interactions", "users", "items"], rows)
    table.add_row("density", f"{sizes['density']:.4%}")
    return table


def degrees_table(degrees: Facts) -> Table:
    return percentiles_table({f"of {'an' if kind == 'item' else 'a'} {kind}": row for kind, row in degrees.items()})


def percentiles_table(rows: dict[str, Facts]) -> Table:
    header = list(next(iter(rows.values()), {}))
    return made_table(["", *header], {name: list(row.values()) for name, row in rows.items()})


def cold_table(cold: Facts) -> Table:
    rows = {
        "items": [cold["items"], *cold["items_in"].values()],
        "interactions with them": [None, *cold["interactions_in"].values()],
        "users": [cold["users"], None, None],
        "users not evaluated, for this or for lack of an interaction": [None, *cold["users_not_evaluated"].values()],
    }
    return made_table(["", "all", "validation", "test"], rows)


def features_table(modalities: Facts) -> Table:
    header = ["modality", "rows", "columns", "constant", "zero rows", "repeated rows", "commonest row", "which is"]
    keys = ("constant_columns", "zero_rows", "repeated_rows", "commonest_rows")
    rows = {
        name: [*each["shape"], *(each[key] for key in keys), COMMONEST[each["commonest_is"]]]
        for name, each in modalities.items()
    }
    return made_table(header, rows)


def leaks_table(leaks: Facts) -> Table:
    names = {key: " and ".join(SPLITS.get(part, part) for part in key.split("_and_")) for key in leaks}
    names["repeated"] = "twice in one split"
    return made_table(["where", "pairs"], {names[key]: [number] for key, number in leaks.items()})


def popularity_table(scores: Facts) -> Table:
    """A row for each metric, a column for each cut-off of each split."""
    rows: dict[str, list[Any]] = {}
    for split in scores.values():
        for name, value in split.items():
            rows.setdefault(name.partition("@")[0], []).append(value)
    header = [f"{split}@{name.partition('@')[2]}" for split in scores for name in scores[split] if "recall" in name]
    return made_table(["metric", *header], rows)


def made_table(header: Sequence[str], rows: dict[str, list[Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for place, name in enumerate(header):
        table.add_column(escape(name), justify="right" if place else "left", overflow="fold")
    for name, values in rows.items():
        table.add_row(escape(name), *(escape(shown(value)) for value in values))
    return table


def shown(value: Any) -> str:
    """A number for a table: counts whole and with commas, others with four significant digits; `-` for None."""
    if value is None or isinstance(value, str):
        return value or "-"
    whole = value == int(value)
    return f"{int(value):,}" if whole and (isinstance(value, int) or abs(value) >= 1) else f"{value:.4g}"
