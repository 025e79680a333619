"""`run_search.py inspect NAME`: describe a data set before a search spends hours on it."""

import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from recmodels.data import RecDataset
from recmodels.data.inspection import Facts, inspect_data
from recmodels.data.published import FOLDER_NAMES, PUBLISHED, difference
from recmodels.evaluation import popularity_scores
from tuning.cli.arguments import Parser
from tuning.cli.datasets import load_data
from tuning.reports.data_warnings import collected_warnings
from tuning.reports.tables import plain_columns, say, table
from tuning.spec import Training

DESCRIPTION = "Describe a data set: sizes, degrees, cold items, features, leaks, popularity's metrics."
SPLITS = {"train": "training", "valid": "validation", "test": "test"}
COMMONEST = {None: "-", "zero": "all zero", "mean": "the mean", "other": "neither zero nor the mean"}


def main(argv: Sequence[str], console: Console) -> None:
    """Show the facts. UserError for an unknown name and any fault in the data."""
    given = parser().parse(argv)
    with collected_warnings() as warnings:
        facts = gather(load_data(given["name"], given))
    facts["warnings"] = warnings
    if "json" in given:
        print(json.dumps(facts, indent=1))
    else:
        show(facts, console)


def parser() -> Parser:
    """Return the parser of the command's arguments."""
    parser = Parser("inspect", DESCRIPTION)
    parser.add_argument("name", metavar="NAME", help="as for --dataset; also with corruptions, such as demo@noise=0.1")
    parser.add_directories()
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def gather(data: RecDataset) -> Facts:
    """Return all facts about the data as plain JSON.

    `as_published`: whether its sizes are the published ones; None if no published set has its name.
    """
    known = FOLDER_NAMES.get(data.name, data.name) in PUBLISHED
    differs = difference(data.name, data.n_users, data.n_items, [len(part) for part in data.splits])
    scores = popularity_scores(data, Training().cutoffs)
    return {**inspect_data(data), "as_published": differs is None if known else None, "popularity": scores}


def show(facts: Facts, console: Console) -> None:
    """Print the facts as tables and lines of plain text."""
    lists, degrees = facts["sizes"]["ranked_against"], facts["degrees"]
    sections = {
        f"{facts['name']} (fingerprint {facts['fingerprint'][:12]})": sizes_table(facts),
        "training interactions": percentiles_table({"of a user": degrees["user"], "of an item": degrees["item"]}),
        "without a training interaction": cold_table(facts["cold"]),
        "features": features_table(facts["features"]),
        "row norms": percentiles_table({name: each["norms"] for name, each in facts["features"].items()}),
        "(user, item) pairs in more than one place": leaks_table(facts["leaks"]),
        f"popularity, ranked against {'its lists' if lists else 'all items'}": popularity_table(facts["popularity"]),
    }
    for title, section in sections.items():
        say(console, title)
        console.print(section if section.row_count else "  none")
        console.print()
    if facts["as_published"]:
        say(console, "sizes as published")
    for text in facts["warnings"]:
        say(console, f"warning: {text}")


def sizes_table(facts: Facts) -> Table:
    sizes = facts["sizes"]
    rows = {SPLITS[name]: list(split.values()) for name, split in facts["splits"].items()}
    rows["all"] = [sizes["interactions"], sizes["users"], sizes["items"]]
    rows["density"] = [f"{sizes['density']:.4%}", "", ""]
    return text_table(["split", "interactions", "users", "items"], rows)


def percentiles_table(rows: dict[str, Facts]) -> Table:
    return text_table(["", *next(iter(rows.values()), {})], {name: list(row.values()) for name, row in rows.items()})


def cold_table(cold: Facts) -> Table:
    rows = {
        "items": [cold["items"], *cold["items_in"].values()],
        "interactions with them": [None, *cold["interactions_in"].values()],
        "users": [cold["users"], None, None],
        "users not evaluated, for this or for lack of an interaction": [None, *cold["users_not_evaluated"].values()],
    }
    return text_table(["", "all", "validation", "test"], rows)


def features_table(modalities: Facts) -> Table:
    header = ["modality", "rows", "columns", "constant", "zero rows", "repeated rows", "commonest row", "which is"]
    keys = ("constant_columns", "zero_rows", "repeated_rows", "commonest_rows")
    rows = {
        name: [*each["shape"], *(each[key] for key in keys), COMMONEST[each["commonest_is"]]]
        for name, each in modalities.items()
    }
    return text_table(header, rows)


def leaks_table(leaks: Facts) -> Table:
    names = {key: " and ".join(SPLITS.get(part, part) for part in key.split("_and_")) for key in leaks}
    names["repeated"] = "twice in one split"
    return text_table(["where", "pairs"], {names[key]: [number] for key, number in leaks.items()})


def popularity_table(scores: Facts) -> Table:
    """Return a row for each metric, with a column for each cut-off of each split."""
    rows: dict[str, list[Any]] = {}
    for split in scores.values():
        for name, value in split.items():
            rows.setdefault(name.partition("@")[0], []).append(value)
    header = [f"{split}@{name.partition('@')[2]}" for split in scores for name in scores[split] if "recall" in name]
    return text_table(["metric", *header], rows)


def text_table(header: Sequence[str], rows: dict[str, list[Any]]) -> Table:
    """Return a table with the name and the values of each row, under the header."""
    return table(plain_columns(*header, format=number), ([name, *values] for name, values in rows.items()))


def number(value: Any) -> str:
    """Format a number: whole ones with commas, others with four significant digits. Texts stay as they are."""
    if isinstance(value, str):
        return value
    return f"{int(value):,}" if value == int(value) else f"{value:.4g}"
