"""--objectives and --pick: what they set, and what does not go with them."""

from pathlib import Path
from typing import Any

import pytest

from tests.tuning.cli.helpers import BARE, NEW, refused, resolved
from tests.tuning.pages.test_front_section import made_front
from tuning.yaml_document import parse_yaml

pytestmark = pytest.mark.usefixtures("here")
TWO = (*NEW, "--objectives", "ndcg@10, robustness")


def test_the_first_objective_is_the_metric_and_no_scheduler_stops_trials(capsys: Any) -> None:
    spec, _ = resolved(capsys, "--model", "LightGCN", "--objectives", "ndcg@10, passes", "--pick", "passes")
    assert (spec.objectives, spec.training.metric, spec.scheduler.name) == (("ndcg@10", "passes"), "ndcg@10", "none")
    assert (spec.pick, 10 in spec.training.cutoffs) == ("passes", True)


def test_the_experiment_has_no_reference(capsys: Any) -> None:
    import run_search

    assert run_search.main([*TWO, "--trials", "8", "--dry-run"]) == 0
    said = capsys.readouterr().out
    (spec,) = [parse_yaml(part, "text").data for part in said.split("section ")[:1]]
    assert (spec["strategy"], spec["awaits_confirmation"]) == ("mg", True)
    assert "8 trials in 1 searches" in said
    assert "confirmation: 15 trainings, at most 3 of the front on 5 fresh seeds" in said


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((*NEW, "--objectives", "recall@20"), "--objectives recall@20: expected at least one more objective"),
        ((*NEW, "--objectives", "recall@20,speed"), "--objectives recall@20,speed: behind the metric there is no"),
        ((*TWO, "--metric", "recall@20"), "--metric recall@20: expected ndcg@10, the first of --objectives"),
        ((*TWO, "--scheduler", "asha"), "--scheduler asha: stops trials by the metric alone, expected none"),
        ((*TWO, "--sampler", "cmaes"), "--sampler cmaes: learns from one objective alone"),
        ((*TWO, "--compare", "mg,sam"), "--objectives: is for one strategy, as --compare compares by the metric"),
        ((*TWO, "--tune-base", "4"), "--tune-base: no reference goes with --objectives"),
        ((*TWO, "--baseline"), "--baseline: no reference goes with --objectives"),
        ((*TWO, "--pick", "0003"), "--pick 0003: a trial can be picked when it has ended, by --resume NAME"),
        ((*TWO, "--pick", "seconds"), "--pick seconds: expected a trial's name, or one of knee, ndcg@10, robustness"),
        ((*NEW, "--pick", "knee"), "--pick: only with --objectives"),
        (
            ("--model", "Popularity", "--dataset", "demo", "--objectives", "recall@20,passes"),
            "--objectives: Popularity has nothing to train",
        ),
        (
            ("--model", "BPR,GRCN", "--dataset", "demo", "--objectives", "recall@20,passes"),
            "--objectives: is for one model and one data set, as an overview compares by the metric",
        ),
    ],
)
def test_what_does_not_go_with_several_objectives_is_one_line(capsys: Any, arguments: Any, line: str) -> None:
    assert refused(capsys, *arguments, *(() if "--tune-base" in arguments else BARE[2:])).startswith(line)


@pytest.mark.parametrize(
    ("pick", "line"),
    [
        ("0005", "--pick 0005: expected a trial that is on the front: 0004, 0003, 0002, 0001, 0000"),
        ("0077", "--pick 0077: expected a trial that is on the front: "),
        ("sharpness", "--pick sharpness: expected a trial's name, or one of knee, recall@20, robustness"),
    ],
)
def test_a_pick_that_is_not_on_the_front_changes_nothing(here: Path, capsys: Any, pick: str, line: str) -> None:
    made_front(here / "searches")
    assert refused(capsys, "--resume", "s", "--pick", pick).startswith(line)


def test_the_objectives_of_a_search_stay_what_they_are(here: Path, capsys: Any) -> None:
    made_front(here / "searches")
    line = refused(capsys, "--resume", "s", "--objectives", "recall@20,passes")
    assert line == "--objectives: cannot be changed by --resume, start a new search instead"


def test_a_search_of_an_experiment_is_picked_from_by_the_experiment(here: Path, capsys: Any) -> None:
    folder = made_front(here / "searches")
    folder.write_spec(folder.spec().model_copy(update={"awaits_confirmation": True}))
    assert refused(capsys, "--resume", "s", "--pick", "0004").startswith("--pick 0004: s is part of an experiment")
