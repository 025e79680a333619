"""The table of an overview: figures of each model, data set, strategy and metric, their gains and mean gains.

Everything is on test, of the configurations that the experiments chose without it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from recmodels.evaluation.paired_tests import PairedTest, pair_by_key, paired_tests
from recmodels.metric import Metric
from tuning.experiments.experiment import REFERENCE
from tuning.overview.plan import Overview, PlannedPair
from tuning.overview.results import PairFigures, StrategyFigures
from tuning.overview.runner import ended_pairs

NOT_RUN = "not run yet"


@dataclass(frozen=True)
class Entry:
    """One metric of one strategy of a pair, over its seeds; `deviation` is the sample's, None for one seed.

    `gain`: of the mean over the reference's, as a share of it. `seeds`: the difference from the reference paired by
    seed, p after Holm's correction for the strategies of the pair; `users`: by user, of the metric that decides alone.
    `decides`: whether this metric does. `decision`: what the experiment says of it: better, worse, not told apart.
    All of these are None for the reference and without one. `floor`: the same metric of popularity.
    """

    model: str
    dataset: str
    strategy: str
    metric: Metric
    mean: float
    deviation: float | None
    runs: int
    gain: float | None
    seeds: PairedTest | None
    users: PairedTest | None
    decides: bool
    decision: str | None
    floor: float | None

    @property
    def survives(self) -> bool:
        """Whether the experiment tells the strategy apart from the reference by this metric."""
        return self.decides and (self.decision or "").startswith(("better", "worse"))

    @property
    def below_popularity(self) -> bool:
        return self.floor is not None and self.mean < self.floor


@dataclass(frozen=True)
class MeanGain:
    """The mean of the gains of a strategy in one metric.

    `model`, `dataset`: over the pairs of this model or of this data set alone; None: over all. `pairs`: number of pairs
    that have the gain, of `of` pairs.
    """

    strategy: str
    metric: Metric
    model: str | None
    dataset: str | None
    gain: float
    pairs: int
    of: int


@dataclass(frozen=True)
class PairState:
    """How far a pair is. `fault`: why strategies of it have no figures: NOT_RUN, or what went wrong; None for one that
    has them all."""

    pair: PlannedPair
    figures: PairFigures | None
    fault: str | None


@dataclass(frozen=True)
class OverviewTable:
    """`entries` by model, data set, strategy and metric. `floors`: popularity by data set and metric. `states`: of the
    pairs, in the order of the overview."""

    name: str
    metrics: tuple[Metric, ...]
    states: list[PairState]
    entries: Mapping[tuple[str, str, str, Metric], Entry]
    floors: Mapping[tuple[str, Metric], float]

    @property
    def models(self) -> list[str]:
        return list(dict.fromkeys(state.pair.model for state in self.states))

    @property
    def datasets(self) -> list[str]:
        return list(dict.fromkeys(state.pair.dataset for state in self.states))

    def strategies(self, model: str | None = None) -> list[str]:
        """Return the strategies of a model, or of all, the reference first, if any pair has one."""
        pairs = [state.pair for state in self.states if model in (None, state.pair.model)]
        found = dict.fromkeys(spec.strategy for pair in pairs for spec in pair.experiment.searches)
        return sorted(found, key=lambda strategy: strategy != REFERENCE)

    def state(self, model: str, dataset: str) -> PairState | None:
        """Return the state of a pair; None if the overview has no such pair."""
        wanted = (model, dataset)
        return next((state for state in self.states if (state.pair.model, state.pair.dataset) == wanted), None)

    @property
    def failed(self) -> list[PairState]:
        """The pairs that ended without some of their figures."""
        return [state for state in self.states if state.fault not in (None, NOT_RUN)]

    def mean_gain(
        self, strategy: str, metric: Metric, model: str | None = None, dataset: str | None = None
    ) -> MeanGain | None:
        """Return the mean gain of a strategy over the pairs of a model or of a data set, or over all; None without a
        gain."""
        asked = [
            state.pair
            for state in self.states
            if model in (None, state.pair.model) and dataset in (None, state.pair.dataset)
            if strategy in (spec.strategy for spec in state.pair.experiment.searches)
        ]
        entries = [self.entries.get((pair.model, pair.dataset, strategy, metric)) for pair in asked]
        gains = [entry.gain for entry in entries if entry and entry.gain is not None]
        if not gains:
            return None
        return MeanGain(strategy, metric, model, dataset, fmean(gains), len(gains), len(asked))


def read_table(overview: Overview) -> OverviewTable:
    """Return the table of what the pairs have found so far. UserError for a damaged result."""
    ended, metrics = ended_pairs(overview), overview.shown_metrics
    states = []
    for pair in overview.pairs:
        states.append(PairState(pair, PairFigures.of(pair), ended.get(pair.name, NOT_RUN)))
    made = [entry for state in states if state.figures for entry in _entries(state.pair, state.figures, metrics)]
    floors = {
        (state.pair.dataset, metric): floor
        for state in states
        if state.figures
        for metric in metrics
        if (floor := state.figures.floor(metric)) is not None
    }
    entries = {(each.model, each.dataset, each.strategy, each.metric): each for each in made}
    return OverviewTable(overview.name, metrics, states, entries, floors)


def _entries(pair: PlannedPair, figures: PairFigures, metrics: Iterable[Metric]) -> Iterator[Entry]:
    for metric in metrics:
        values = {each.strategy: _by_seed(each, metric) for each in figures.strategies}
        reference = values.get(REFERENCE, {}) if pair.experiment.reference else {}
        rivals = {name: own for name, own in values.items() if name != REFERENCE}
        tests = paired_tests({name: pair_by_key(own, reference) for name, own in rivals.items()})
        for each in figures.strategies:
            own, rival = list(values[each.strategy].values()), each.strategy in rivals
            if not own:
                continue
            yield Entry(
                model=pair.model,
                dataset=pair.dataset,
                strategy=each.strategy,
                metric=metric,
                mean=fmean(own),
                deviation=stdev(own) if len(own) > 1 else None,
                runs=len(own),
                gain=_gain(own, list(reference.values())) if rival else None,
                seeds=tests.get(each.strategy),
                users=_test(each) if metric == figures.metric else None,
                decides=metric == figures.metric,
                decision=each.decision,
                floor=figures.floor(metric),
            )


def _by_seed(figures: StrategyFigures, metric: Metric) -> dict[int, float]:
    return {seed: test[metric] for seed, test in figures.tests.items() if metric in test}


def _gain(ours: Sequence[float], theirs: Sequence[float]) -> float | None:
    return fmean(ours) / fmean(theirs) - 1 if any(theirs) else None


def _test(figures: StrategyFigures) -> PairedTest | None:
    return PairedTest(**dict(figures.users)) if figures.users else None
