"""Optuna's figures of a study that is made from the ledger."""

from pathlib import Path

from tests.tuning.pages.factories import METRIC, made_search, made_spec
from tests.tuning.reports.factories import record
from tuning.pages.study_figures import importance_figure, importances, parallel_figure, study_of
from tuning.pages.trials import SearchTrials
from tuning.records import TrialRecord
from tuning.space import Choice, Parameter, Range, Space

SPACE = Space(
    (
        Parameter("strategy", "alpha", Range(0.0, 1.0)),
        Parameter("strategy", "kind", Choice(("a", "<b>"))),
        Parameter("train", "rate", Range(1e-4, 1.0, log=True)),
    )
)


def trials(number: int) -> list[TrialRecord]:
    """alpha alone decides."""
    made = []
    for place in range(number):
        alpha, rate = place * 0.618 % 1, 10 ** -(4 * (place * 0.37 % 1))
        point = {"alpha": alpha, "kind": ("a", "<b>")[place % 2], "rate": rate}
        made.append(record(f"{place:04}", alpha, point=point))
    return made


def test_the_knob_that_decides_is_the_most_important_one() -> None:
    found = importances(study_of(SPACE, trials(40)))
    assert next(iter(found)) == "alpha"
    assert found["alpha"] > 0.6
    assert set(found) == {"alpha", "kind", "rate"}


def test_too_few_or_equal_trials_have_no_importance() -> None:
    assert importances(study_of(SPACE, trials(3))) == {}
    assert importances(study_of(SPACE, [record(f"{n}", 0.5, point=t.point) for n, t in enumerate(trials(9))])) == {}


def test_only_trials_that_finished_have_a_line(tmp_path: Path) -> None:
    found = SearchTrials.read(made_search(made_spec(tmp_path, "s"), trials=12))
    figure = parallel_figure(study_of(found.spec.space, found.records), METRIC)
    finished = [record.value for record in found.records if record.status == "finished"]
    lines = [trace for trace in figure.data if trace.mode == "lines"]
    assert 0 < len(lines) == len(finished) < len(found.records)
    assert [line.y[0] for line in lines] == sorted(line.y[0] for line in lines)  # the best is drawn last


def test_figures_have_the_colours_of_the_page_and_no_html_of_users() -> None:
    study = study_of(SPACE, trials(9))
    parallel, bars = parallel_figure(study, METRIC), importance_figure(study)
    assert {tick.font.color for tick in parallel.layout.annotations} == {"var(--ink)"}
    assert "<b>" not in str([tick.text for tick in parallel.layout.annotations])
    assert parallel.layout.title.text is None
    assert bars.layout.title.text is None
