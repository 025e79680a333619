"""The commands of the command line as one grammar: what each is for, and the short help. Imports nothing heavy."""

from collections.abc import Mapping, Sequence

from recmodels.errors import UserError, nearest
from tuning.cli.arguments import Given, Parser

COMMANDS: Mapping[str, str] = {
    "search": "search the best configuration for a model and a data set, and confirm it beside plain training",
    "resume": "go on with a search or an experiment that was interrupted, or give a search more trials",
    "status": "how a search goes or went: trials, best so far, time left, next step; without a name: all of them",
    "report": "one HTML page of a search or an experiment, to look at and to pass on",
    "replay": "train an exported configuration again and compare its metrics",
    "recommend": "write every user's best items, from an exported configuration",
    "analyze": "how robust exported configurations are, and how flat their minima",
    "inspect": "describe a data set before a search spends hours on it",
    "prepare": "make the folder of a public data set, or of one of your own",
    "list": "the names of models, data sets or strategies",
}
"""Name -> what it does, in the order of the short help."""
MODULES = ("status", "report", "recommend", "analyze", "inspect", "prepare")
"""The commands with a module of this package, which has a `main`; the others are forms of a search's options."""
LISTS = ("models", "datasets", "strategies")

EXAMPLES = """examples:
  python run_search.py --model GRCN --dataset demo
  python run_search.py status
  python run_search.py search --help"""


def short_help(description: str) -> str:
    """Return the help of the whole command line: usage, a line for each command, examples."""
    lines = [f"  {name:10} {text}" for name, text in COMMANDS.items()]
    more = "`COMMAND --help` has a command's options. Options without a command are those of search."
    usage = "usage: run_search.py [COMMAND] [OPTIONS]"
    return "\n\n".join([usage, description, "\n".join(["commands:", *lines]), EXAMPLES, more])


def read(argv: Sequence[str]) -> Given:
    """Return the options that a command line other than those of MODULES gives, as options of a search.

    `resume NAME` gives `resume`, as --resume NAME does; so do `replay FILE` and `list models`. UserError.
    """
    command, rest = (argv[0], argv[1:]) if argv and argv[0] in COMMANDS else ("", argv)
    if command == "list":
        return _read_list(rest)
    from tuning.cli.options import parser  # loads the spec

    return parser(command).parse(rest)


def as_typed(argv: Sequence[str], message: str) -> str:
    """Return a message about --resume or --replay with the name of the command, if it was given as one."""
    named = argv and argv[0] in ("resume", "replay")
    return message.replace(f"--{argv[0]}", argv[0]) if named else message


def _read_list(argv: Sequence[str]) -> Given:
    made = Parser("list", f"Print {COMMANDS['list']}, one a line.")
    made.add_argument("what", metavar="WHAT", nargs="?", help=", ".join(LISTS))
    made.add_argument("--data-dir", metavar="DIR", help="folder that holds the data set folders (data)")
    given = made.parse(argv)
    what = given.pop("what", "")
    if what not in LISTS:
        near = f"; did you mean {nearest(what, LISTS)!r}?" if nearest(what, LISTS) else ""
        raise UserError(f"{f'list {what}'.strip()}: expected one of {', '.join(LISTS)}{near}")
    return {f"list_{what}": True, **given}
