"""Shared by the commands: their parser, and messages that name options."""

import argparse
import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NoReturn

from recmodels.errors import UserError, did_you_mean

Given = dict[str, Any]
"""The options of a command line that were given, and no others: `time_budget` for --time-budget -> its value."""


class Parser(argparse.ArgumentParser):
    """argparse without defaults, whose faults are UserErrors of one line, with the nearest right option.

    `command`: follows run_search.py, "" for a search. `epilog`: text below the options; with one, the line breaks of
    description and epilog are kept. `renamed`: former name of an option -> its name.
    """

    def __init__(
        self,
        command: str,
        description: str,
        epilog: str | None = None,
        renamed: Mapping[str, str] = MappingProxyType({}),
    ):
        self.renamed = renamed
        super().__init__(
            prog=f"run_search.py {command}".strip(),
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter if epilog else argparse.HelpFormatter,
            argument_default=argparse.SUPPRESS,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        raise UserError(message.removeprefix("argument "))

    def parse(self, argv: Sequence[str]) -> Given:
        """Return only the options that were given. UserError for an unknown one."""
        given, unknown = self.parse_known_args(argv)
        for text in unknown:
            wrong = text.split("=")[0]
            if wrong in self.renamed:
                raise UserError(f"{wrong}: is called {self.renamed[wrong]}")
            if not text.startswith("-"):
                raise UserError(f"{text}: expected no further argument (run_search.py --help)")
            known = [name for action in self._actions for name in action.option_strings if name.startswith("--")]
            raise UserError(f"{wrong}: no such option{did_you_mean(wrong, known)}")
        return vars(given)

    def add_directories(self) -> None:
        """Add --data-dir and --cache-dir, the folders that a data set is loaded from."""
        self.add_argument("--data-dir", metavar="DIR", help="folder that holds the data set folders (data)")
        self.add_argument("--cache-dir", metavar="DIR", help="where parsed data are kept (default: the user's cache)")


def flag(name: str) -> str:
    """Return the option of a name in `Given`: --time-budget for `time_budget`."""
    return "--" + name.replace("_", "-")


def refuse(given: Given, names: Iterable[str], why: str) -> None:
    """Raise UserError if one of the named options was given."""
    for name in names:
        if name in given:
            raise UserError(f"{flag(f'no_{name}' if given[name] is False else name)}: {why}")


COLUMNS = ("user_col", "item_col", "time_col", "rating_col")
SAME_NAME = (
    *("base_url", "data_dir", "encoder", "encoding", "features", "k_core", "name", "overwrite", "quote", "sep"),
    *COLUMNS,
)
OPTIONS = {name: flag(name) for name in SAME_NAME} | {
    "checksums": "--checksum",
    "header": "--no-header",
    "header=False": "--no-header",
    "header=True": "--header",
    "rule": "--split",
}
"""Parameter that messages of recmodels name in backquotes, or parameter=value -> its option."""


def name_options(message: str) -> str:
    """Return a message of recmodels with each parameter as its option: `data_dir` in backquotes becomes --data-dir."""
    return re.sub("`([a-z_]+(?:=[A-Z][a-z]+)?)`", lambda found: OPTIONS.get(found[1], found[0]), message)
