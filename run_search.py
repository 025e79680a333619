"""Search robust-training hyper-parameters of a recommender: `python run_search.py --help`."""

import gc
import sys

from tuning.cli.main import main


def run() -> int:
    """Run the command line of this process and return its exit code."""
    code = main()
    gc.freeze()  # else Python walks through all of torch and Ray once more before it ends, for half a second
    return code


if __name__ == "__main__":
    sys.exit(run())
