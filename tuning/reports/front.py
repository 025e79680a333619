"""The front of a search with several objectives: what is searched, the points, and what they are worth."""

from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean

from rich.table import Table

from tuning.objectives import KNEE, MEASURED, objectives_of
from tuning.objectives.objective import is_trial
from tuning.records import Confirmation, Tests, TrialRecord
from tuning.records.front import Front, front_of
from tuning.reports import columns
from tuning.reports.columns import TrialRow, ended_row
from tuning.reports.tables import Column, markdown_table, plain_columns, shown, table
from tuning.spec import SearchSpec

NAMED = 10
"""Trials that were left out which are named one by one; of more the number is said."""


def searched_lines(spec: SearchSpec) -> list[str]:
    """Return what a search looks for, a line each; none for a search by its metric alone."""
    objectives = objectives_of(spec.objectives)
    if not objectives:
        return []
    more = {"maximize": "larger is better", "minimize": "smaller is better"}
    each = "; ".join(f"{one.name} ({more[one.direction]}: {one.what})" for one in objectives)
    return [
        f"objectives: {each}",
        f"{objectives[0].name} decides on patience and the best epoch; no trial is stopped by a scheduler, which would "
        "see this objective alone",
    ]


def front_table(spec: SearchSpec, front: Front, chosen: TrialRecord | None, tests: Tests) -> Table:
    """Return the points of the front as a table for the terminal. `chosen`: the one that is exported as the best."""
    title = f"front of {', '.join(spec.objectives)}"
    return table(_columns(spec, chosen), _rows(front, tests), title=title)


def front_lines(
    spec: SearchSpec, front: Front, chosen: TrialRecord | None, records: Iterable[TrialRecord]
) -> list[str]:
    """Return what the front is worth, a line each: its size, the pick, what was left out, and what measuring cost."""
    return list(_lines(spec, front, chosen, [record for record in records if record.role != "baseline"]))


def front_markdown(
    spec: SearchSpec,
    records: Sequence[TrialRecord],
    chosen: TrialRecord | None,
    tests: Tests,
    confirmation: Confirmation | None,
) -> str:
    """Return the front as a part of a page of Markdown: its points, what they are worth, and their means."""
    front = front_of(spec.objectives, records)
    parts = [markdown_table(_columns(spec, chosen), _rows(front, tests))] if front.points else []
    parts.append("\n".join(f"- {line}" for line in front_lines(spec, front, chosen, records)))
    if confirmation and confirmation.front:
        parts.append(markdown_table(means_columns(spec), means_rows(spec, confirmation)))
    return "\n\n".join(parts)


def means_columns(spec: SearchSpec) -> list[Column[Sequence[str]]]:
    """Return the columns of the points of a front on fresh seeds."""
    means = [f"{name}, mean over seeds" for name in spec.objectives]
    return plain_columns("trial", *means, "front of the means", "not told apart from", format=str)


def means_rows(spec: SearchSpec, confirmation: Confirmation) -> list[Sequence[str]]:
    """Return a row for each point of the front that was trained on fresh seeds."""
    return [
        (
            point.trial,
            *(
                _spread(point.values[name].mean, point.values[name].deviation) if name in point.values else "-"
                for name in spec.objectives
            ),
            "stays" if point.stays else "off",
            ", ".join(point.alike) or "-",
        )
        for point in confirmation.front
    ]


def pick_words(pick: str) -> str:
    """Return why a point was picked, in a few words. `pick`: of a search's spec, which may name a trial."""
    if pick == KNEE:
        return "the knee, which is nearest to the best of all objectives at once"
    return f"as --pick {pick} asks"


def _spread(mean: float, deviation: float | None) -> str:
    return shown(mean) + (f" ± {deviation:.2g}" if deviation is not None else "")


def _columns(spec: SearchSpec, chosen: TrialRecord | None) -> list[Column[TrialRow]]:
    picked = Column[TrialRow](
        "", lambda row: "picked" if chosen and row.name == chosen.trial else "", str, justify="left", live=False
    )
    return [*columns.trial_columns(spec), picked]


def _rows(front: Front, tests: Tests) -> list[TrialRow]:
    return [ended_row(record, tests.get(record.trial, {})) for record in front.points]


def _why(spec: SearchSpec, front: Front, chosen: TrialRecord) -> str:
    picked = front.picked(spec.pick)
    if picked is None or picked.trial != chosen.trial:
        return "chosen on fresh seeds"
    if is_trial(spec.pick) and spec.pick != chosen.trial:
        return f"{pick_words(KNEE)}, as {spec.pick} is not on the front"
    return pick_words(spec.pick)


def _lines(spec: SearchSpec, front: Front, chosen: TrialRecord | None, records: Sequence[TrialRecord]) -> Iterator[str]:
    compared = len(records) - len(front.left_out)
    names = ", ".join(spec.objectives)
    if not front.points:
        yield f"no front: no trial that finished has all of {names}"
    else:
        yield (
            f"front: {len(front.points)} of {compared} trials, which no other one reaches in all of {names} and beats "
            "in one; it is of one seed, whose luck has a part in it"
        )
        if chosen:
            yield f"picked: {chosen.trial}, {_why(spec, front, chosen)}"
    if front.left_out:
        named = [f"{trial} ({why})" for trial, why in list(front.left_out.items())[:NAMED]]
        more = f" and {len(front.left_out) - NAMED} more" if len(front.left_out) > NAMED else ""
        yield f"not compared: {', '.join(named)}{more}"
    measured = [record for record in records if record.measured_seconds]
    if measured:
        cost = fmean(record.measured_seconds for record in measured)
        share = cost / fmean(record.seconds + record.measured_seconds for record in measured)
        what = " and ".join(name for name in spec.objectives if name in MEASURED)
        yield f"measuring {what} took {shown(cost)} s a trial, {share:.1%} of it".replace("%", " %")
