"""Early stopping as pure rules over the scores so far: epoch -> score, in the order of the epochs that were evaluated,
larger is better."""

from collections.abc import Mapping


def best_epoch(scores: Mapping[int, float]) -> int:
    """Return the epoch of the largest score, the first one on ties."""
    return max(scores, key=scores.__getitem__)


def epochs_without_improvement(scores: Mapping[int, float]) -> int:
    """Return the number of epochs from the best evaluation to the last one; 0 without any.

    A training that tolerates `patience` of them ends where there are more (the benchmark's rule).
    """
    return max(scores) - best_epoch(scores) if scores else 0
