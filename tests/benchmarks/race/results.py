"""What curves say: values against cost, and early values against late ones."""

from collections.abc import Sequence
from statistics import fmean

from scipy import stats

from tests.benchmarks.race.simulation import Outcome
from tuning.records import EpochRow

SHARES = (0.05, 0.1, 0.2, 0.5, 1.0)
EPOCHS = (5, 10, 15, 20, 30, 50)


def best_at_shares(outcomes: Sequence[Outcome], passes: int, most: float = 1.0) -> list[float | None]:
    """Return the mean over searches of the best validation value within each of SHARES of so many passes.

    None beyond `most`, the share that the searches were given, and where a search has no value yet.
    """
    return [mean_best(outcomes, share * passes) if share <= most + 1e-9 else None for share in SHARES]


def mean_best(outcomes: Sequence[Outcome], passes: float) -> float | None:
    """Return the mean over searches of the best value within so many passes; None if a search has none."""
    values = [value for outcome in outcomes if (value := outcome.best_after(passes)) is not None]
    return fmean(values) if values and len(values) == len(outcomes) else None


def early_and_late(curves: Sequence[Sequence[EpochRow]]) -> dict[int, float | None]:
    """Return epoch -> Spearman's correlation, over trials, of the best value until then with the best in the end.

    A trial that has ended before has its last value.
    """
    late = [rows[-1].best for rows in curves]
    return {epoch: spearman([rows[:epoch][-1].best for rows in curves], late) for epoch in EPOCHS}


def spearman(one: Sequence[float | None], other: Sequence[float | None]) -> float | None:
    """Return Spearman's rank correlation; None if one of the two has no spread, or for fewer than three pairs."""
    if len(one) < 3 or len(set(one)) < 2 or len(set(other)) < 2:
        return None
    return float(stats.spearmanr(one, other).statistic)
