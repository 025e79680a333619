"""A comparison from the command line: the same search for every strategy, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

from recmodels.errors import UserError
from tests.tuning.cli.helpers import refused
from tests.tuning.experiments.factories import made_comparison
from tuning.cli.compare import new_comparison
from tuning.cli.options import parser

pytestmark = pytest.mark.usefixtures("here")


def test_a_comparison_that_cannot_go_on(capsys: Any, here: Path) -> None:
    arguments = ("--model", "LightGCN", "--dataset", "demo", "--compare", "mg", "--name", "c")
    new_comparison(parser().parse(arguments)).write()
    assert refused(capsys, *arguments).startswith("--name c: it exists in searches; --resume c")
    assert refused(capsys, "--resume", "c", "--trials", "9").startswith("--trials: cannot be changed when a comparison")
    assert refused(capsys, "--resume", "c", "--seeds", "9").startswith("--seeds: cannot be changed when a comparison")
    assert refused(capsys, "--resume", "c", "--max-concurrent", "0").startswith("--max-concurrent: Input should be")


def test_every_strategy_has_the_same_search_but_for_its_knobs() -> None:
    asked = made_comparison(compare="sam,mg", controls=True, set=["rho=0.1", "strategy.interval=5", "reg_weight=0.1"])
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
        ({"seeds": "-1"}, "--seeds: "),
        ({"set": ["rhoo=0.1"]}, "--set rhoo=0.1: no parameter 'rhoo'"),
    ],
)
def test_what_cannot_be_compared(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        made_comparison(**given)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
