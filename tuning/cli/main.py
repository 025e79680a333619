"""The command line: choose the command, and turn an error into one line and an exit code.

Heavy imports (torch, ray, mlflow) wait until an argument needs them: --help answers at once.
"""

import logging
import os
import sys
import warnings
from collections.abc import Collection, Sequence
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.logging import RichHandler

from recmodels.errors import UserError, did_you_mean
from tuning.cli.arguments import Given, flag, name_options, refuse
from tuning.cli.commands import COMMANDS, MODULES, as_typed, read, short_help

DESCRIPTION = (
    "Search Mirror Gradient's alpha, beta and interval (or any training strategy's knobs) for a model and a data set,\n"
    "with Optuna, ASHA and Ray; compare the runs in MLflow; export the best configuration."
)
MODES = ("resume", "replay", "list_models", "list_datasets", "list_strategies")
"""Options that start no new search."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code.

    0 done, 1 no trial succeeded, a pair of an overview failed, a replay differs or memory was lacking, 2 bad input,
    130 interrupted, 141 the reader closed the pipe.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    # Without a terminal a table may be wider than 80 columns.
    console = Console(width=None if sys.stdout.isatty() else 120)
    logger = logging.getLogger("mirrortune")
    logger.addHandler(RichHandler(console=console, show_time=False, show_path=False, show_level=False))
    logger.setLevel(logging.INFO)
    warnings.filterwarnings("ignore", module=r"(ray|optuna|mlflow)\b")
    try:
        if argv[:1] in (["--help"], ["-h"]):
            print(short_help(DESCRIPTION))
            return 0
        if argv and argv[0] in MODULES:
            import_module(f"tuning.cli.{argv[0]}").main(argv[1:], console)
            return 0
        if argv and argv[0] not in COMMANDS and not argv[0].startswith("-"):
            raise UserError(f"{argv[0]}: no such option or command{did_you_mean(argv[0], COMMANDS)}")
        return run(read(argv), argv, console)
    except UserError as error:
        print(f"run_search.py: {as_typed(argv, name_options(str(error)))}", file=sys.stderr)
        return 2
    except (MemoryError, RuntimeError) as error:
        from tuning.execution.memory import memory_lack  # it loads torch

        if not (lack := memory_lack(error)):
            raise
        way_out = "; with CUDA_VISIBLE_DEVICES= in front the CPU computes" if lack.gpu else ""
        print(f"run_search.py: {lack}{way_out}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("run_search.py: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has stopped
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def run(given: Given, argv: Sequence[str], console: Console) -> int:
    """Start or resume a search, an experiment or an overview, replay an export, or list names; return the exit code."""
    modes = [mode for mode in MODES if mode in given]
    if len(modes) > 1:
        raise UserError(f"{' and '.join(map(flag, modes))}: expected one of them, not several")
    if "replay" in given:
        from tuning.cli import replay

        return replay.run(given, console)
    if modes and modes != ["resume"]:
        return list_names(modes[0], given)
    from tuning.cli import experiment, overview, search
    from tuning.cli.pairs import is_several
    from tuning.spec import SearchSpec

    root = Path(given.get("output_dir", SearchSpec.model_fields["output_dir"].default))
    folder = root / (given.get("resume") or given.get("name") or "")
    if overview.Overview.is_in(folder):
        return overview.go_on(folder, given, argv, console)
    if "resume" not in given and is_several(given):
        return overview.new(given, argv, console)
    refuse(given, overview.OWN, "is for an overview, of several models or data sets")
    if "resume" not in given:
        return experiment.new(given, argv, console)
    if experiment.Experiment.is_in(folder):
        return experiment.resume(folder, given, argv, console)
    return search.resume(root, given, argv, console)


def list_names(mode: str, given: Given) -> int:
    """Print the names for --model, --dataset or --strategy, one a line."""
    from recmodels.data import known_datasets
    from recmodels.models import MODELS
    from recmodels.training import STRATEGIES
    from tuning.cli.datasets import directory

    names: dict[str, Collection[str]] = {
        "list_models": MODELS,
        "list_datasets": known_datasets(directory(given, "data_dir")),
        "list_strategies": STRATEGIES,
    }
    print("\n".join(sorted(names[mode])))
    return 0
