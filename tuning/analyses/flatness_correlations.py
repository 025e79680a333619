"""Does sharpness predict what noise costs? Rank correlations over the trials, and the sentence that they allow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import fmean

from recmodels.analysis.rank_correlation import RankCorrelation, rank_correlation
from recmodels.evaluation.paired_tests import holm
from tuning.analyses.flatness import Asked, Row
from tuning.analyses.flatness_numbers import (
    Condition,
    Quantity,
    accuracies,
    conditions,
    headline,
    of_models,
    of_strategies,
    sharpness_of,
)

POOLED, BETWEEN, WITHIN = "all trials", "means of strategies", "within strategies"


@dataclass(frozen=True, eq=False)
class Correlated:
    """A rank correlation. `among`: of which trials of a model. `p`: of `found`, after Holm's correction for all that
    were looked at; None where it has none."""

    model: str
    among: str
    sharpness: str
    outcome: str
    found: RankCorrelation
    p: float | None


def correlations(asked: Asked, rows: Sequence[Row]) -> list[Correlated]:
    """Return the rank correlation of each measure of sharpness with each outcome, for each model: among all trials,
    the means of strategies, within strategies (each value less its strategy's mean), and in each strategy alone."""
    both = [quantity for each in conditions(asked) for quantity in (each.drop, each.perturbed)]
    outcomes, found = [*both, *accuracies(asked)], []
    for model, own in of_models(rows).items():
        for sharpness in sharpness_of(asked, own):
            for outcome in outcomes:
                for among, correlation in _among(own, sharpness, outcome):
                    found.append((model, among, sharpness.name, outcome.name, correlation))
    corrected = holm({place: each[-1].p for place, each in enumerate(found) if each[-1].p is not None})
    return [Correlated(*each, corrected.get(place)) for place, each in enumerate(found)]


def _among(rows: Sequence[Row], one: Quantity, other: Quantity) -> list[tuple[str, RankCorrelation]]:
    """Return the correlations that there are, by the name of what they are among."""
    x: dict[str, list[float]] = {}
    y: dict[str, list[float]] = {}
    for row in rows:
        ours, theirs = one.of(row), other.of(row)
        if ours is not None and theirs is not None:
            x.setdefault(row.run.strategy, []).append(ours)
            y.setdefault(row.run.strategy, []).append(theirs)
    groups = [(POOLED, [*chain(*x.values())], [*chain(*y.values())], 0)]
    if len(x) > 1:
        several = [name for name, values in x.items() if len(values) > 1]
        groups += [
            (BETWEEN, [*map(fmean, x.values())], [*map(fmean, y.values())], 0),
            (WITHIN, _less_means(x, several), _less_means(y, several), len(several) - 1),
            *((name, x[name], y[name], 0) for name in x),
        ]
    made = [(name, rank_correlation(ours, theirs, lost)) for name, ours, theirs, lost in groups]
    return [(name, correlation) for name, correlation in made if correlation is not None]


def _less_means(values: Mapping[str, Sequence[float]], strategies: Sequence[str]) -> list[float]:
    """Return each value less the mean of its strategy, rounded, as the error of a mean would order equal ones."""
    largest = max((abs(value) for own in values.values() for value in own), default=0.0) or 1.0
    return [round((value - fmean(values[name])) / largest, 12) for name in strategies for value in values[name]]


def verdicts(asked: Asked, rows: Sequence[Row], found: Sequence[Correlated]) -> list[str]:
    """Return a sentence for each model: whether the trials with sharper minima lose more under noise."""
    said = []
    for model, own in of_models(rows).items():
        sharpness, noise = sharpness_of(asked, own)[0], headline(asked, own)
        if noise is None:
            said.append(f"{model}: no perturbation that was asked for reaches it.")
            continue
        strategies = len(of_strategies(own))
        of = f"{len(own)} trial{'s' * (len(own) > 1)} of {strategies} strateg{'ies' if strategies > 1 else 'y'}"
        wanted = (model, POOLED, sharpness.name, noise.drop.name)
        match = next((each for each in found if (each.model, each.among, each.sharpness, each.outcome) == wanted), None)
        said.append(f"{model}, {of}: {_judged(sharpness.name, noise, match)}.")
    return said


def _judged(sharpness: str, noise: Condition, match: Correlated | None) -> str:
    what = f"{sharpness} and the drop under {noise.name}"
    if match is None:
        return f"too few of them, or too much alike, for a rank correlation of {what}"
    rank = match.found.spearman
    if rank.low is None or rank.high is None:
        return f"too few of them for an interval; {what} have the rank correlation {rank.value:.2f}"
    said = f"{what} have the rank correlation {rank.value:.2f} [{rank.low:.2f}, {rank.high:.2f}]: "
    if rank.low > 0:
        return f"{said}the sharper minima lose more"
    return said + ("the sharper minima lose less" if rank.high < 0 else "sharpness does not tell who loses more")
