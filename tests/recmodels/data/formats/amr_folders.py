"""A made data set as a folder in AMR's format.

`python -m tests.recmodels.data.formats.amr_folders data/pins` writes one with the sizes of AMR's Pinterest set.
"""

import sys
from pathlib import Path

import numpy as np

from recmodels.data import RecDataset, load_dataset


def write(folder: Path, data: RecDataset, n_negatives: int, seed: int = 0) -> None:
    """The first test item of each user, who must have one, against `n_negatives` that the user has not; all other pairs
    are for training."""
    rng = np.random.default_rng(seed)
    parts = (data.train, data.valid, data.test)
    users, items = (np.concatenate([getattr(part, name) for part in parts]) for name in ("users", "items"))
    tested = data.test.items[data.test.indptr[:-1]]
    lists = [
        [item, *rng.permutation(np.setdiff1d(np.arange(data.n_items), items[users == user]))[:n_negatives]]
        for user, item in enumerate(tested)
    ]
    trained = items != tested[users]
    folder.mkdir(parents=True)
    np.savetxt(folder / "pos.txt", np.column_stack([users[trained], items[trained]]), fmt="%d")
    np.savetxt(folder / "neg.txt", np.array(lists), fmt="%d")
    np.save(folder / "f_resnet.npy", next(iter(data.features.values())))


if __name__ == "__main__":
    write(Path(sys.argv[1]), load_dataset("synthetic:pinterest"), 999)
