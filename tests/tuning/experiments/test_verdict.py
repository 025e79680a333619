"""The sentence that an experiment ends with."""

from dataclasses import replace
from typing import Any

import pytest

from recmodels.evaluation.paired_tests import PairedTest
from tests.tuning.experiments.factories import made_experiment
from tests.tuning.export.test_winner import WINNER
from tuning.experiments.choice import Choice
from tuning.experiments.confirmed import Configuration, Confirmed
from tuning.experiments.results import StrategyResult
from tuning.experiments.verdict import decision, verdict

pytestmark = pytest.mark.usefixtures("here")
SEEDS = PairedTest(0.0031, 0.0008, 0.0054, 0.012, 5)
USERS = PairedTest(0.0031, 0.0004, 0.0058, 0.03, 6130)


def result(strategy: str, values: list[float], **changes: Any) -> StrategyResult:
    """A strategy with one confirmed configuration and these test values on fresh seeds."""
    runs = [replace(WINNER, seed=1000 + place, role="confirmation") for place, _ in enumerate(values)]
    made = StrategyResult(
        strategy,
        trials=40,
        searched=["alpha", "interval"] if strategy == "mg" else ["reg_weight"],
        best=WINNER,
        chosen=WINNER,
        confirmed=Confirmed([Configuration(WINNER, runs)], Choice(0, (0,))),
        tested=runs,
        tests={1000 + place: {"recall@1": value} for place, value in enumerate(values)},
    )
    return replace(made, **changes)


PLAIN = result("plain", [0.0900, 0.0911, 0.0905, 0.0920, 0.0924])
MG = result("mg", [0.0931, 0.0942, 0.0936, 0.0951, 0.0955], seeds=SEEDS, users=USERS)


def test_a_gain_by_what_evidence_against_what() -> None:
    asked = made_experiment(compare="mg", tune_base=None, set=["embedding_size=4", "n_layers=2"])
    assert asked.on_base
    assert verdict(asked, [PLAIN, MG], MG) == (
        "mg (alpha 1, interval 3) against plain (reg_weight 0.3333), plain tuned with 40 trials, mg with 40 more on "
        "the base that these found, confirmed on 5 fresh seeds each: recall@1 on test +0.0031 (+3.4 %; 95 % interval "
        "over seeds [+0.0008, +0.0054]; p 0.012 over 5 seeds and p 0.03 over 6,130 users after Holm for 1 comparison): "
        "better than plain."
    )


def test_a_reference_that_was_not_tuned_is_said_to_be_so() -> None:
    asked, plain = made_experiment(compare="mg,sam"), replace(PLAIN, searched=[], trials=1)
    said = verdict(asked, [plain, MG, MG], MG)
    assert said.startswith("mg (alpha 1, interval 3) against plain, mg tuned with 40 trials, plain at its defaults, ")
    assert "after Holm for 2 comparisons" in said
    together = made_experiment(compare="mg", tune="all")
    assert "plain (reg_weight 0.3333), each tuned with 40 trials, confirmed" in verdict(together, [PLAIN, MG], MG)


def test_a_strategy_alone_has_its_level() -> None:
    asked = made_experiment(compare="plain", tune="base")
    assert verdict(asked, [PLAIN], PLAIN) == (
        "plain (reg_weight 0.3333), tuned with 40 trials and confirmed on 5 fresh seeds: recall@1 on test 0.0912 "
        "± 0.001 (95 % interval over seeds [0.08996, 0.09244])."
    )


@pytest.mark.parametrize(
    ("seeds", "users", "expected"),
    [
        (SEEDS, USERS, "better than plain"),
        (replace(SEEDS, difference=-0.1), replace(USERS, difference=-0.1), "worse than plain"),
        (replace(SEEDS, p=0.051), USERS, "not told apart from plain"),
        (SEEDS, replace(USERS, p=0.051), "not told apart from plain"),
        (SEEDS, replace(USERS, difference=-0.1), "not told apart from plain"),
        (None, USERS, "one seed each, which decides nothing"),
        (None, None, "nothing to compare"),
    ],
)
def test_a_decision_needs_both_tests(seeds: PairedTest | None, users: PairedTest | None, expected: str) -> None:
    assert decision(replace(MG, seeds=seeds, users=users), "plain") == expected


def test_without_a_result_nothing_is_compared() -> None:
    asked = made_experiment(compare="mg")
    assert verdict(asked, [PLAIN, StrategyResult("mg")], StrategyResult("mg")) == "mg: no result on test."
    said = verdict(asked, [StrategyResult("plain"), MG], MG)
    assert said == "mg (alpha 1, interval 3): plain has no result on test to compare it with."
