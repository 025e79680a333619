"""A Gaussian process that learns from stopped trials, and the forecast of their ends."""

import warnings

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.samplers import BaseSampler, GPSampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from tuning.proposals.forecast import ForecastingGP, as_if_finished, forecast_end

SPACE: dict[str, BaseDistribution] = {"x": FloatDistribution(0, 1), "kind": CategoricalDistribution(("a", "b"))}


def trial(x: float, curve: dict[int, float], state: TrialState = TrialState.COMPLETE) -> FrozenTrial:
    value = {} if state in (TrialState.RUNNING, TrialState.FAIL) else {"value": curve[max(curve)]}
    made = create_trial(state=state, params={"x": x, "kind": "a"}, distributions=SPACE, **value)
    made.intermediate_values = curve
    return made


def study_of(trials: list[FrozenTrial], sampler: BaseSampler) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.add_trials(trials)
    return study


@pytest.mark.parametrize(
    ("curve", "finished", "expected"),
    [
        ({1: 0.1, 2: 0.25}, [], 0.25),
        ({2: 0.25}, [{1: 0.25, 2: 0.5, 3: 0.625, 4: 0.75}], 0.5),  # it gained 0.25 from epoch 2 on
        ({2: 0.25}, [{2: 0.5, 4: 0.625}, {2: 0.5, 9: 0.75}, {2: 0.5, 4: 1.0}], 0.5),  # the median of three
        ({3: 0.25}, [{2: 0.5, 4: 0.75}], 0.5),  # evaluated every second epoch: what it had before
        ({1: 0.25}, [{2: 0.5, 4: 0.75}], 0.5),
        ({9: 0.25}, [{2: 0.5, 4: 0.75}], 0.25),  # it had ended by then
        ({2: 0.7}, [{2: 0.5, 4: 0.75}], 0.75),  # no better than the best end
        ({2: 0.8}, [{2: 0.5, 4: 0.75}], 0.8),  # nor worse than it was
    ],
)
def test_a_stopped_trial_gains_what_the_finished_ones_gained(
    curve: dict[int, float], finished: list[dict[int, float]], expected: float
) -> None:
    assert forecast_end(curve, finished) == expected


def test_stopped_trials_count_as_finished_and_failed_ones_do_not() -> None:
    given = [
        trial(0.1, {1: 0.25, 2: 0.75}),
        trial(0.2, {1: 0.125}, TrialState.PRUNED),
        trial(0.3, {}, TrialState.RUNNING),
        trial(0.4, {1: 0.5}, TrialState.FAIL),
    ]
    found = as_if_finished(given, SPACE)
    assert [(each.params["x"], each.state.name, each.value) for each in found] == [
        (0.1, "COMPLETE", 0.75),
        (0.2, "COMPLETE", 0.625),
        (0.3, "RUNNING", None),
    ]
    assert all(each.distributions == SPACE for each in found)
    given[0].params, given[0].distributions = {"x": 0.1}, {"x": SPACE["x"]}
    assert len(as_if_finished(given, SPACE)) == 2


def test_it_leaves_the_neighbourhood_of_stopped_trials() -> None:
    """Good ones at x = 0.8, and around 0.2 ten that were stopped: Optuna's own knows nothing of these."""
    trials = [trial(0.8 + 0.02 * n, {1: 0.5, 10: 0.9 - 0.2 * (0.02 * n) ** 2}) for n in range(-5, 6)]
    trials += [trial(0.1 + 0.02 * n, {1: 0.1}, TrialState.PRUNED) for n in range(10)]

    def proposed(learns: bool) -> list[float]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            samplers = [ForecastingGP(seed) if learns else GPSampler(seed=seed) for seed in range(3)]
            return [study_of(trials, each).ask(SPACE).params["x"] for each in samplers]

    assert max(proposed(learns=False)) < 0.3
    assert min(proposed(learns=True)) > 0.5


def test_what_it_proposes_follows_from_the_seed_and_the_study() -> None:
    """However often the sampler is made anew, as a resume does; and trials that run are proposed no second time."""
    trials = [trial(n / 12, {1: 0.5, 5: 0.5 + n / 24}) for n in range(12)]

    def propose(sampler: BaseSampler, running: list[FrozenTrial]) -> tuple[float, str]:
        params = study_of(trials + running, sampler).ask(SPACE).params
        return params["x"], params["kind"]

    one = ForecastingGP(1)
    first = propose(one, [])
    assert propose(one, []) == first == propose(ForecastingGP(1), [])
    runs = create_trial(
        state=TrialState.RUNNING, params=dict(zip(("x", "kind"), first, strict=True)), distributions=SPACE
    )
    assert propose(one, [runs]) != first


def test_the_first_trials_are_random() -> None:
    study = study_of([], ForecastingGP(3))
    points = [study.ask(SPACE).params["x"] for _ in range(5)]
    assert len(set(points)) == 5
