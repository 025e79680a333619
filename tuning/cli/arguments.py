"""What the commands share: parsers that open alike, arguments of data sets, parameters shown as options."""

import argparse
import re
from typing import Any

from tuning.cli.options import Parser

OPTIONS = {
    name: "--" + name.replace("_", "-")
    for name in ("base_url", "data_dir", "encoder", "features", "k_core", "name", "overwrite")
}
OPTIONS |= {f"{kind}_col": f"--{kind}-col" for kind in ("user", "item", "time", "rating")}
OPTIONS |= {"checksums": "--checksum", "rule": "--split"}  # the two with another name
"""Parameter that messages of recmodels name in backquotes -> its option."""


def command_parser(command: str, description: str, **settings: Any) -> Parser:
    """Return the parser of `run_search.py COMMAND`, whose `parse` keeps only the arguments that were given."""
    return Parser(
        prog=f"run_search.py {command}",
        description=description,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
        **settings,
    )


def add_directories(parser: argparse.ArgumentParser) -> None:
    """Add --data-dir and --cache-dir, the folders that a data set is loaded from."""
    parser.add_argument("--data-dir", metavar="DIR", help="folder that holds the data set folders (data)")
    parser.add_argument("--cache-dir", metavar="DIR", help="where parsed data are kept (default: the user's cache)")


def name_options(message: str) -> str:
    """Return a message of recmodels with each parameter as its option: `data_dir` in backquotes becomes --data-dir."""
    return re.sub("`([a-z_]+)`", lambda found: OPTIONS.get(found[1], found[0]), message)
