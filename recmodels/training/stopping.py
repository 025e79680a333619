"""Early stopping as pure rules over the scores so far, one per evaluation, larger is better."""

from collections.abc import Sequence


def best_evaluation(scores: Sequence[float]) -> int:
    """Return the index of the largest score, the first one on ties."""
    return max(range(len(scores)), key=scores.__getitem__)


def should_stop(scores: Sequence[float], patience: int) -> bool:
    """Return True after more than `patience` evaluations in a row without improvement (the benchmark's rule)."""
    return len(scores) > 0 and len(scores) - 1 - best_evaluation(scores) > patience
