"""What `run_search.py` does besides searching: one module per command, `main(argv, console) -> exit code`."""

import importlib
from collections.abc import Sequence

from rich.console import Console

COMMANDS = {
    "prepare": "make a data set folder from the public sources, or from tables of your own",
    "inspect": "what a data set holds",
    "recommend": "the top-N of an exported configuration, in the data's own ids",
}


def run(name: str, argv: Sequence[str], console: Console) -> int:
    """The exit code; UserError for bad input."""
    code: int = importlib.import_module(f"tuning.commands.{name}").main(argv, console)
    return code
