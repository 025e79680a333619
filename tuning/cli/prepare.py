"""`run_search.py prepare NAME`: make the folder of a public data set, or of your own with --from TABLE."""

import argparse
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from rich.console import Console

from recmodels.data import DEFAULT_DATA_DIR
from recmodels.data.formats.dialect import QUOTES, Dialect
from recmodels.data.published import AMAZON_SETS
from recmodels.data.splits import RULES
from recmodels.errors import UserError, did_you_mean
from recmodels.prepare import Sources, prepare_amazon, prepare_own
from recmodels.prepare.amazon import ADDRESSES, BASE_URL
from recmodels.prepare.text import ENCODERS
from tuning.cli.arguments import COLUMNS, Given, Parser, refuse
from tuning.reports.tables import say

DIALECT = {field.name for field in fields(Dialect)}
FILES = {kind.replace("-", "_"): kind for kind in ADDRESSES}
PUBLIC = {*FILES, "base_url", "checksum", "cache_dir", "no_images", "no_text"}
OWN = {"name", *COLUMNS, *DIALECT, "min_rating", "features", "feature_ids"}
SEED = 999

DESCRIPTION = "Make a data set folder from Amazon's public files, downloaded or local, or from tables of yours."
EPILOG = """examples:
  python run_search.py prepare clothing
  python run_search.py prepare baby --reviews reviews_Baby_5.json.gz --metadata meta_Baby.json.gz --no-images
  python run_search.py prepare --from plays.csv --name plays --features text=songs.csv:title,artist \\
      --features audio=clips.npy:clip_ids.txt --k-core 5
"""

FEATURES = "FEATURES.npy:IDS (an item id a line), or TABLE:COLUMN,... of texts or numbers; repeatable"


def main(argv: Sequence[str], console: Console) -> None:
    """Make a data set folder. UserError for bad input."""
    given = parser().parse(argv)
    folder = prepare_table(given) if "from_" in given else prepare_public(given)
    data_dir_option = "" if folder.parent == DEFAULT_DATA_DIR else f" --data-dir {folder.parent}"
    command = f"python run_search.py --model GRCN --dataset {folder.name}{data_dir_option}"
    say(console, f"{folder} is ready; next:\n  {command}")


def prepare_public(given: Given) -> Path:
    """Make the folder of a public data set and return it. Raises UserError."""
    refuse(given, sorted(OWN), "only with --from")
    if "set" not in given:
        raise UserError(f"prepare: expected the name of a data set ({', '.join(AMAZON_SETS)}), or --from TABLE")
    name = given["set"]
    if name not in AMAZON_SETS:
        known, near = ", ".join(AMAZON_SETS), did_you_mean(name, AMAZON_SETS)
        raise UserError(f"prepare {name}: expected one of {known}, or --from TABLE --name {name}{near}")
    if "ratings" in given:
        refuse(given, ["reviews"], "expected either reviews or --ratings")
    sources = Sources(
        files={kind: Path(given[name]) for name, kind in FILES.items() if name in given},
        base_url=given.get("base_url", BASE_URL),
        checksums=checksums(given.get("checksum", ())),
        cache=Path(given["cache_dir"]) / "downloads" if "cache_dir" in given else None,
    )
    options = shared(given) | {"sources": sources, "images": "no_images" not in given, "text": "no_text" not in given}
    return prepare_amazon(name, **options)


def prepare_table(given: Given) -> Path:
    """Make a folder from the user's table, --from, and return it. Raises UserError."""
    refuse(given, sorted(PUBLIC), "has no meaning with --from")
    name = given.get("name") or given.get("set")
    if not name or Path(name).name != name or name.startswith("."):
        raise UserError(f"--name: expected the name of the new data set's folder, but got {name or 'none'!r}")
    ids = f":{given['feature_ids']}" if "feature_ids" in given else ""  # of a .npy without a list of ids
    features = [text + ids if text.endswith(".npy") else text for text in given.get("features", ())]
    options = shared(given) | {key: given[key] for key in given.keys() & {*COLUMNS, "min_rating"}}
    dialect = Dialect(**{key: given[key] for key in given.keys() & DIALECT})
    return prepare_own(Path(given["from_"]), name=name, features=features, dialect=dialect, **options)


def shared(given: Given) -> dict[str, Any]:
    """Return the arguments for both `prepare_amazon` and `prepare_own`."""
    options = {key: given[key] for key in given.keys() & {"k_core", "encoder", "overwrite"}}
    return options | {
        "data_dir": data_dir(given),
        "rule": given.get("split", RULES[0]),
        "seed": given.get("seed", SEED),
    }


def data_dir(given: Given) -> Path:
    """Return the folder that the new folder is made in."""
    return Path(given.get("data_dir", DEFAULT_DATA_DIR))


def checksums(texts: Sequence[str]) -> dict[str, str]:
    """Return kind -> digest in lower case, from texts such as reviews=SHA256. Raises UserError."""
    found = {}
    for text in texts:
        kind, equals, digest = text.partition("=")
        if kind not in ADDRESSES or not equals:
            raise UserError(f"--checksum {text}: expected KIND=SHA256, the kind one of {', '.join(ADDRESSES)}")
        digest = digest.lower()
        if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
            raise UserError(f"--checksum {text}: expected 64 hexadecimal digits after {kind}=")
        found[kind] = digest
    return found


def at_least(least: int) -> Any:
    """Return a type for argparse: an integer from `least`."""

    def parse(text: str) -> int:
        if text.isascii() and text.isdigit() and int(text) >= least:
            return int(text)
        raise argparse.ArgumentTypeError(f"expected an integer from {least}, but got {text!r}")

    return parse


def parser() -> Parser:
    """Return the parser of the command's arguments."""
    parser = Parser("prepare", DESCRIPTION, EPILOG)
    parser.add_argument("set", metavar="NAME", nargs="?", help=", ".join(AMAZON_SETS))

    group = parser.add_argument_group("both")
    group.add_argument("--data-dir", metavar="DIR", help=f"where the folder goes ({DEFAULT_DATA_DIR})")
    group.add_argument("--split", metavar="RULE", choices=RULES, help=f"{', '.join(RULES)} ({RULES[0]})")
    group.add_argument("--seed", metavar="N", type=at_least(0), help=f"decides the split at random ({SEED})")
    group.add_argument("--k-core", metavar="K", type=at_least(1), help="users and items with K rows (5; --from: 1)")
    group.add_argument("--encoder", metavar="NAME", choices=ENCODERS, help="of texts: auto, minilm, tfidf (auto)")
    group.add_argument("--overwrite", action="store_true", help="replace a folder of the same name")

    group = parser.add_argument_group("a public data set")
    group.add_argument("--reviews", metavar="FILE", help="local file instead of the download")
    group.add_argument("--ratings", metavar="FILE", help="the same for ratings, which take the place of reviews")
    group.add_argument("--metadata", metavar="FILE", help="the same for titles, brands, descriptions")
    group.add_argument("--image-features", metavar="FILE", help="the same for image features (.b)")
    group.add_argument("--no-images", action="store_true", help="leave the images out (1 to 8 GB to download)")
    group.add_argument("--no-text", action="store_true", help="leave the texts out")
    group.add_argument("--base-url", metavar="URL", help=f"of the downloads ({BASE_URL})")
    group.add_argument("--checksum", metavar="KIND=SHA256", action="append", help="expected of a file; repeatable")
    group.add_argument("--cache-dir", metavar="DIR", help="where downloads are kept (default: the user's cache)")

    group = parser.add_argument_group("a data set of your own")
    table = "interactions: .csv, .tsv, other text, .parquet or .jsonl"
    group.add_argument("--from", metavar="TABLE", dest="from_", help=table)
    group.add_argument("--name", metavar="NAME", help="of the new data set")
    group.add_argument("--user-col", metavar="COLUMN", help="(default: found by usual names, as the next three)")
    group.add_argument("--item-col", metavar="COLUMN", help="ids may be any text")
    group.add_argument("--time-col", metavar="COLUMN", help="for --split leave-last-out and time, and repeated rows")
    group.add_argument("--rating-col", metavar="COLUMN", help="for --min-rating")
    group.add_argument("--min-rating", metavar="X", type=float, help="leave lower rated rows out")
    group.add_argument(
        "--sep", metavar="TEXT", help="between cells, such as ';', '::' or tab (comma in .csv, else tab)"
    )
    group.add_argument("--encoding", metavar="NAME", help="of the table, such as latin-1 (utf-8)")
    header = "whether the first row has names; without, columns are 0, 1, ..."
    group.add_argument("--header", action=argparse.BooleanOptionalAction, help=header)
    quote = (
        'meaning of ": double (encloses cells, two inside stand for one; .csv and .tsv), backslash (the same, and \\" '
    )
    group.add_argument(
        "--quote", metavar="RULE", choices=QUOTES, help=f"{quote}stands for one), none (text; other files)"
    )
    group.add_argument("--features", metavar="MODALITY=FILE", action="append", help=FEATURES)
    group.add_argument("--feature-ids", metavar="FILE", help="the item ids of each .npy that is given without")
    return parser
