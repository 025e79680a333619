"""What was measured once, on tiktok: the reference toolbox, commit 2e551f3 beside it, and what the memory allows a
step."""

from dataclasses import dataclass

COMMIT = "2e551f3"
"""The commit that was measured beside the reference; a later tree's ratio to the reference goes by way of it."""
WHEN = "November 2026, one thread of two virtual cores of an AMD EPYC, torch 2.13, batch 2048"
GFLOPS, GBS = 60.0, 37.0
"""What one core of that machine did in matrix products, and the 1e9 bytes per second that it read and wrote."""
RANKINGS = 2
"""The reference ranks validation and test after each epoch, this project validation alone."""


@dataclass(frozen=True)
class SideBySide:
    """CPU seconds of an epoch and of a ranking, of the reference and of COMMIT; and a step's 1e9 operations, 1e6 bytes
    of traffic at COMMIT, and milliseconds that do not depend on the data (half of a step on a tiny data set)."""

    reference_train: float
    reference_rank: float
    commit_train: float
    commit_rank: float
    gflop: float
    megabytes: float
    fixed_ms: float

    @property
    def train_ratio(self) -> float:
        """How many times faster COMMIT trained an epoch than the reference."""
        return self.reference_train / self.commit_train

    @property
    def epoch_ratio(self) -> float:
        """The same, with the rankings of an epoch."""
        reference = self.reference_train + RANKINGS * self.reference_rank
        return reference / (self.commit_train + self.commit_rank)

    @property
    def bound_ms(self) -> float:
        """What a step takes if it computes and moves what it did at COMMIT at full speed."""
        return 1e3 * self.gflop / GFLOPS + self.megabytes / GBS + self.fixed_ms


MEASURED = {
    "BPR": SideBySide(0.78, 0.78, 0.153, 0.18, 0, 63, 0.8),
    "VBPR": SideBySide(1.33, 0.78, 0.57, 0.32, 0.18, 131, 1.5),
    "LightGCN": SideBySide(2.08, 0.86, 0.62, 0.22, 0, 277, 2.0),
    "SelfCF": SideBySide(1.73, 0.90, 0.72, 0.26, 0.10, 291, 2.0),
    "LayerGCN": SideBySide(7.10, 0.90, 2.42, 0.24, 0, 893, 2.9),
    "FREEDOM": SideBySide(3.29, 0.75, 0.95, 0.21, 0.27, 356, 1.9),
    "BM3": SideBySide(4.10, 0.75, 1.41, 0.22, 0.25, 351, 3.3),
    "GRCN": SideBySide(29.7, 0.80, 3.34, 0.32, 0.44, 1340, 5.5),
    "DualGNN": SideBySide(24.4, 0.80, 4.53, 0.25, 3.08, 1063, 3.9),
    "DRAGON": SideBySide(33.0, 0.94, 4.37, 0.25, 3.08, 1369, 2.7),
    "SLMRec": SideBySide(17.0, 1.05, 4.76, 0.21, 4.80, 1011, 3.7),
    "MMGCN": SideBySide(37.0, 1.20, 14.8, 0.45, 15.1, 1741, 8.3),
}

NEWER = {
    "MMGCF": 2.3,
    "PGL": 11.3,
    "MGCN": 13.3,
    "SMORE": 16.0,
    "LGMRec": 42.5,
    "LATTICE": 94.5,
    "DAMRS": 105.9,
    "MVGAE": 592.0,
}
"""CPU seconds of an epoch of the reference, of models that COMMIT does not have."""
YARDSTICK = "GRCN"
"""The model of COMMIT that is measured in turn with one of NEWER: how fast a machine is beside that of then."""


def scaled_reference(model: str, yardstick: float) -> float:
    """CPU seconds that an epoch of the reference would take where COMMIT trains YARDSTICK in `yardstick` seconds."""
    return NEWER[model] * yardstick / MEASURED[YARDSTICK].commit_train
