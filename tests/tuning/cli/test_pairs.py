"""The pairs of an overview: names with commas, or a file whose pairs have options of their own."""

from pathlib import Path

import pytest

from recmodels.errors import UserError
from tuning.cli.arguments import Given
from tuning.cli.options import parser
from tuning.cli.pairs import AskedPair, asked_pairs, is_several

pytestmark = pytest.mark.usefixtures("here")


def given(*arguments: str) -> Given:
    return parser().parse(arguments)


def in_file(text: str, *arguments: str) -> list[AskedPair]:
    Path("p.yaml").write_text(text)
    return asked_pairs(given("--pairs", "p.yaml", *arguments))


def test_every_model_comes_with_every_data_set() -> None:
    asked = given("--model", "GRCN, BM3", "--dataset", "demo,tiktok@noise=0.1,missing=0.2")
    assert [(pair.model, pair.dataset) for pair in asked_pairs(asked)] == [
        ("GRCN", "demo"),
        ("GRCN", "tiktok@noise=0.1,missing=0.2"),
        ("BM3", "demo"),
        ("BM3", "tiktok@noise=0.1,missing=0.2"),
    ]


@pytest.mark.parametrize(
    ("arguments", "several"),
    [
        (("--model", "GRCN", "--dataset", "demo"), False),
        (("--model", "GRCN", "--dataset", "demo@noise=0.1,seed=3"), False),
        (("--model", "GRCN,BM3", "--dataset", "demo"), True),
        (("--model", "GRCN", "--dataset", "demo@noise=0.1,demo"), True),
        (("--pairs", "p.yaml"), True),
        ((), False),
    ],
)
def test_several_names_ask_for_an_overview(arguments: tuple[str, ...], several: bool) -> None:
    assert is_several(given(*arguments)) == several


def test_a_pair_of_a_file_has_its_own_options_before_those_of_the_command_line_before_the_defaults() -> None:
    text = """
defaults: {trials: 20, compare: "mg,sam", controls: true, max-epochs: 7}
pairs:
  - {model: GRCN, dataset: tiktok}
  - {model: [BM3, VBPR], dataset: "demo", trials: 10, set: [reg_weight=0.1, n_layers=2], controls: false}
"""
    pairs = in_file(text, "--max-epochs", "3")
    assert [(pair.model, pair.dataset) for pair in pairs] == [("GRCN", "tiktok"), ("BM3", "demo"), ("VBPR", "demo")]
    assert pairs[0].own == {"trials": "20", "compare": "mg,sam", "controls": True}
    assert pairs[1].own == {"trials": "10", "compare": "mg,sam", "set": ["reg_weight=0.1", "n_layers=2"]}
    assert pairs[1].where == "p.yaml:5: "


def test_a_list_alone_is_a_file_of_pairs_and_the_command_line_says_the_rest() -> None:
    pairs = in_file("- {model: GRCN}\n- {model: BM3, time_budget: 15m}\n", "--dataset", "demo")
    assert [(pair.model, pair.dataset, pair.own) for pair in pairs] == [
        ("GRCN", "demo", {}),
        ("BM3", "demo", {"time_budget": 900.0}),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "p.yaml: expected a mapping with `pairs`, a list, and, if wanted, `defaults`, but got the keys pairs"),
        ("pears: []", "p.yaml: expected a mapping with `pairs`"),
        ("hello", "p.yaml: expected a mapping with `pairs`, a list, and, if wanted, `defaults`, but got 'hello'"),
        ("pairs: [GRCN]", "p.yaml:1: expected options with their values, but got 'GRCN'"),
        ("- {model: GRCN}", "p.yaml:1: --dataset: missing, expected names with commas (see --list-datasets)"),
        ("- {model: A, dataset: demo, trails: 3}", "p.yaml:1: trails: no such option; did you mean 'trials'?"),
        ("- {model: A, dataset: demo, name: x}", "p.yaml:1: name: is no option of a single pair"),
        ("- {model: A, dataset: demo, controls: 1}", "p.yaml:1: controls: expected true or false, but got 1"),
        ("- {model: A, dataset: demo, trials: true}", "p.yaml:1: trials: expected a value or a list of values"),
        ("- {model: A, dataset: demo, tune-base: -1}", "p.yaml:1: tune-base: expected a whole number of at least 0"),
        ("- {model: 'A,', dataset: demo}", "p.yaml:1: --model A,: expected a name on each side of a comma"),
        (
            "- {model: A, dataset: demo}\n- {model: A, dataset: 'demo,tiktok'}",
            "expected each pair once, but found more than one of p.yaml:1: A on demo, p.yaml:2: A on demo",
        ),
        ("defaults: {trials: 3}\nextra: 1\npairs: [{model: A}]", "p.yaml:2: unknown key 'extra'"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        in_file(text)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
