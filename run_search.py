"""Search robust-training hyper-parameters of a recommender: `python run_search.py --help`."""

import sys

from tuning.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
