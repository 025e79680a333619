"""Which objectives there are, and which a search may have."""

from typing import Any

import pytest
from pydantic import ValidationError

from recmodels.errors import UserError
from tests.tuning.factories import made_spec
from tests.tuning.records.test_selection import record
from tuning.checked_file import first_fault
from tuning.objectives import objectives_of
from tuning.spec import SearchSpec

NONE = {"name": "none"}


def test_each_objective_finds_its_value_in_a_record() -> None:
    trial = record("0000", 0.5, seconds=7.5, passes=12, measured={"robustness": 0.25})
    named = objectives_of(["recall@20", "robustness", "sharpness", "seconds", "passes"])
    assert [each.of(trial) for each in named] == [0.5, 0.25, None, 7.5, 12.0]
    assert [each.gain(1.0) for each in named] == [1.0, 1.0, -1.0, -1.0, -1.0]
    assert objectives_of([]) == ()


@pytest.mark.parametrize(
    ("names", "fault"),
    [
        (["robustness", "recall@20"], "the first is the metric that decides within a trial: expected one of recall"),
        (["recall@20"], "expected at least one more objective, of robustness, sharpness, seconds, passes"),
        (["recall@20", "robustnes"], "there is no objective 'robustnes'; did you mean 'robustness'?"),
        (["recall@20", "ndcg@20"], "there is no objective 'ndcg@20'"),
        (["recall@20", "passes", "passes"], "expected each objective once"),
    ],
)
def test_names_that_are_no_objectives_are_refused(names: list[str], fault: str) -> None:
    with pytest.raises(UserError, match=f"^--objectives {','.join(names)}: ") as caught:
        objectives_of(names)
    assert fault in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"scheduler": {"name": "asha"}}, "--scheduler asha: stops trials by the metric alone, expected none with"),
        ({"training": {"metric": "ndcg@20"}}, "--metric ndcg@20: expected recall@20, the first of --objectives"),
        ({"sampler": "cmaes"}, "--sampler cmaes: learns from one objective alone"),
        ({"sampler": "gp_forecast"}, "--sampler gp_forecast: learns from one objective alone"),
        ({"pick": "sharpness"}, "--pick sharpness: expected a trial's name, or one of knee, recall@20, robustness"),
        ({"objectives": [], "pick": "0003"}, "--pick 0003: only for a search with --objectives"),
    ],
)
def test_a_spec_refuses_what_does_not_go_with_several_objectives(changes: dict[str, Any], line: str) -> None:
    usual = {"objectives": ["recall@20", "robustness"], "scheduler": NONE}
    made_spec(**usual, sampler="nsga2", pick="0003")
    with pytest.raises(ValidationError) as caught:
        made_spec(**{**usual, **changes})
    assert first_fault(caught.value).startswith(line)


def test_a_spec_of_before_there_were_objectives_reads_as_one_without() -> None:
    content = made_spec().model_dump(mode="json")
    old = {key: value for key, value in content.items() if key not in ("objectives", "pick")}
    assert SearchSpec.model_validate(old) == made_spec()
