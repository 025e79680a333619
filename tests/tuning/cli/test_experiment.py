"""An experiment from the command line: its searches and their confirmation, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

from recmodels.errors import UserError
from tests.tuning.cli.helpers import NEW, refused
from tests.tuning.experiments.factories import made_experiment
from tuning.cli.experiment import new_experiment
from tuning.cli.options import parser

pytestmark = pytest.mark.usefixtures("here")


@pytest.mark.parametrize("options", [(), ("--compare", "mg"), ("--strategy", "plain")])
def test_an_experiment_that_cannot_go_on(capsys: Any, here: Path, options: tuple[str, ...]) -> None:
    arguments = (*NEW, *options, "--name", "c")
    experiment = new_experiment(parser().parse(arguments))
    assert experiment is not None
    experiment.write()
    assert refused(capsys, *arguments).startswith("--name c: it exists in searches; --resume c")
    for option in ("--trials", "--tune-base", "--confirm-top", "--confirm-seeds"):
        line = refused(capsys, "--resume", "c", option, "9")
        assert line == f"{option}: cannot be changed when an experiment goes on, start a new one instead"
    assert refused(capsys, "--resume", "c", "--max-concurrent", "0").startswith("--max-concurrent: Input should be")


def test_every_strategy_has_the_same_search_but_for_its_knobs() -> None:
    asked = made_experiment(compare="sam,mg", controls=True, set=["rho=0.1", "strategy.interval=5", "reg_weight=0.1"])
    assert [spec.strategy for spec in asked.searches] == ["plain", "sam", "mg", "plain_lr", "plain_repeat"]
    assert len({spec.name for spec in asked.searches}) == 5
    alike = [spec.model_dump(exclude={"name", "strategy", "space"}) for spec in asked.searches]
    assert all(each == alike[0] for each in alike)
    bases = [{part: spec.space.to_data()[part] for part in ("train", "model")} for spec in asked.searches]
    assert all(base == bases[0] for base in bases)
    assert bases[0]["model"]["reg_weight"] == 0.1
    knobs = {spec.strategy: spec.space.to_data()["strategy"] for spec in asked.searches}
    assert knobs["plain"] == {}
    assert knobs["sam"]["rho"] == 0.1
    assert (knobs["mg"]["interval"], knobs["plain_repeat"]["interval"]) == (5, 5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"compare": "mg,smg"}, "--compare smg: there is no strategy 'smg'"),
        ({"compare": "sam+asam"}, "--compare sam+asam: sam+asam: sam and asam are each a whole oracle"),
        ({"strategy": "mg"}, "--strategy: has no meaning with --compare"),
        ({"tune": "mg"}, "--tune mg: expected one of strategy, base, all with --compare"),
        ({"set": ["rhoo=0.1"]}, "--set rhoo=0.1: no parameter 'rhoo'"),
    ],
)
def test_what_cannot_be_compared(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        made_experiment(**given)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
