"""`run_search.py analyze KIND EXPORT.yaml ...`: measure exported configurations, or searches, beyond their metrics.

Each kind is a module `tuning.cli.analyze_KIND` with a DESCRIPTION, `add_arguments` and `main`, which is imported when
it is asked for. What all kinds share is in `tuning.cli.analyzed`.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

from rich.console import Console

from recmodels.errors import UserError, did_you_mean
from tuning.cli.arguments import Parser

DESCRIPTION = "Measure exported configurations, or all trials of searches, beyond their metrics, side by side."
KINDS: Mapping[str, str] = {
    "flatness": "of searches: whether the sharpness of their trials predicts what noise costs them",
    "landscape": "the training loss on random planes through the weights, and on the line between two minima",
    "robustness": "what is left of the metrics under noise in the embeddings and edits of the features",
    "sharpness": "how fast the training loss rises around the weights: ascents, noise, gradient and Hessian",
}
"""Name -> what is measured, in the order of the help."""
OF_SEARCHES = ("flatness",)
"""Kinds that take searches in place of exports."""


def main(argv: Sequence[str], console: Console) -> None:
    """Run an analysis. UserError for bad input."""
    if argv and argv[0] in KINDS:
        made = import_module(f"tuning.cli.analyze_{argv[0]}")
        made.main(parser(argv[0], made).parse(argv[1:]), console)
        return
    overall = Parser("analyze", DESCRIPTION, epilog=_kinds())
    overall.add_argument("kind", metavar="KIND", help=f"{', '.join(KINDS)}; `analyze KIND --help` has its options")
    kind = overall.parse(argv[:1])["kind"]
    raise UserError(f"analyze {kind}: expected one of {', '.join(KINDS)}{did_you_mean(kind, KINDS)}")


def parser(kind: str, made: object) -> Parser:
    """Return the parser of a kind: the arguments that all kinds share, and those of its module `made`."""
    parser = Parser(f"analyze {kind}", made.DESCRIPTION)  # type: ignore[attr-defined]
    if kind in OF_SEARCHES:
        text = "names or folders of searches and experiments"
        parser.add_argument("searches", metavar="SEARCH", nargs="+", help=text)
    else:
        parser.add_argument("exports", metavar="EXPORT.yaml", type=Path, nargs="+", help="exported configurations")
    parser.add_argument("--output", metavar="DIR", type=Path, help="folder of the results (analyses/NAMES)")
    parser.add_argument("--output-dir", metavar="DIR", type=Path, help="folder that holds the searches (searches)")
    parser.add_directories()
    made.add_arguments(parser)  # type: ignore[attr-defined]
    return parser


def _kinds() -> str:
    return "\n".join(["kinds:", *(f"  {name:10} {text}" for name, text in KINDS.items())])
