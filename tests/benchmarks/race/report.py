"""The result of a race as JSON, as a page of Markdown and as a figure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from recmodels.files import replacing, write_whole
from tests.benchmarks.race.luck import Luck
from tests.benchmarks.race.results import EPOCHS, SHARES, best_at_shares, early_and_late, mean_best, spearman
from tests.benchmarks.race.rules import ORDERS
from tests.benchmarks.race.setting import Race
from tests.benchmarks.race.simulation import Outcome
from tests.benchmarks.race.stages import Found, Plan
from tests.benchmarks.race.verdicts import MARGIN, Verdict, verdicts
from tuning.records import TrialRecord
from tuning.reports.tables import markdown_table, plain_columns

About = Mapping[str, Any]
"""The race's conditions, by name."""


def write(race: Race, plan: Plan, found: Found, about: About) -> None:
    """Write race.json, race.md and race.svg into the plan's folder."""
    judged = verdicts(race, plan, found)
    write_whole(plan.output / "race.json", json.dumps(_content(race, found, judged, about), indent=1) + "\n")
    write_whole(plan.output / "race.md", "\n\n".join(_sections(race, plan, found, judged, about)) + "\n")
    draw(race, found, plan.output / "race.svg")


def tested(race: Race, record: TrialRecord) -> dict[str, Any]:
    """Return what a trial came to, with its test metric, which nothing that chooses has seen."""
    assert record.best_epoch is not None
    test = race.test(record.params, record.seed, record.best_epoch)[race.spec.training.metric]
    return {
        **record.params["strategy"],
        "seed": record.seed,
        "valid": record.value,
        "test": test,
        "best_epoch": record.best_epoch,
        "epochs": record.epochs,
        "passes": record.passes,
        "seconds": record.seconds,
    }


def finished(outcome: Outcome) -> list[TrialRecord]:
    """Return the trials that ran to their own ends, best first."""
    records = [each for each in outcome.records if each.status == "finished" and each.value is not None]
    return sorted(records, key=lambda each: -(each.value or 0))


def _content(race: Race, found: Found, judged: Sequence[Verdict], about: About) -> dict[str, Any]:
    searches = {"offline": found.offline, "race": found.raced}
    return {
        "about": dict(about),
        "grid": {
            "passes": found.grid.passes,
            "seconds": found.grid.seconds,
            "points": [tested(race, record) for record in finished(found.grid)],
        },
        "authors": [tested(race, record) for record in finished(found.authors)],
        "correlation": _correlations(race, found),
        "rules": [asdict(rule) for rule in found.rules],
        "searches": {
            stage: {str(method): [each.to_json() for each in outcomes] for method, outcomes in runs.items()}
            for stage, runs in searches.items()
        },
        "confirmed": {name: [tested(race, each) for each in records] for name, records in found.confirmed.items()},
        "luck": asdict(found.luck) if found.luck else None,
        "verdicts": [each.to_json() for each in judged],
    }


def _correlations(race: Race, found: Found) -> dict[str, float | None]:
    """Return Spearman's correlations over the grid's points: at an epoch with the end, and of validation with test."""
    records = finished(found.grid)
    curves = race.curves()
    rows = [curves.of(each.params, each.seed).rows[: each.epochs] for each in records]
    points = [tested(race, each) for each in records]
    with_end = {f"epoch {epoch}": rho for epoch, rho in early_and_late(rows).items()}
    return {**with_end, "test": spearman([each["valid"] for each in points], [each["test"] for each in points])}


def _sections(race: Race, plan: Plan, found: Found, judged: Sequence[Verdict], about: About) -> Iterator[str]:
    yield f"# {race.spec.model} on {race.spec.dataset}: a search against the grid"
    yield "\n".join(f"- {name}: {value}" for name, value in about.items())
    yield from _grid_section(race, found)
    yield from _cost_section(race, plan, found)
    yield from _early_section(race, found)
    if found.rules:
        yield from _rules_section(found)
    if found.confirmed:
        yield from _confirmed_section(race, plan, found, judged)
    if found.luck:
        yield from _luck_section(race, found.luck)


def _grid_section(race: Race, found: Found) -> Iterator[str]:
    metric, records = race.spec.training.metric, finished(found.grid)
    yield "## The grid"
    values = [each.value or 0 for each in records]
    spread = f"; their values spread by {stdev(values):.4f}" if len(values) > 1 else ""
    lost = len(found.grid.records) - len(records)
    yield (
        f"{len(records)} points on seed {race.spec.training.seed}, each to its own end: {found.grid.passes:,} passes, "
        f"{found.grid.seconds:,.0f} s{spread}." + (f" {lost} points failed." if lost else "")
    )
    knobs = [each.name for each in race.spec.space.parameters if each.coordinate in race.spec.space.dimensions]
    names = [*knobs, "valid", "test", "best_epoch", "epochs", "passes", "seconds"]
    columns = plain_columns(*(f"{name} {metric}" if name in ("valid", "test") else name for name in names), left=0)
    yield markdown_table(columns, [[each[name] for name in names] for each in (tested(race, r) for r in records)])
    yield "The authors' points:"
    yield markdown_table(columns, [[tested(race, r)[name] for name in names] for r in finished(found.authors)])


def _cost_section(race: Race, plan: Plan, found: Found) -> Iterator[str]:
    yield f"## Best validation {race.spec.training.metric} so far, by cost"
    yield "Means over the sampler's seeds, at shares of the grid's passes. The grid: its points in their order."
    passes = found.grid.passes
    rows: list[list[Any]] = [["grid", *best_at_shares([found.grid], passes), found.grid.seconds]]
    for where, runs, most in ("grid's points", found.offline, 1.0), ("space", found.raced, plan.share):
        for method, outcomes in runs.items():
            seconds = fmean(each.seconds for each in outcomes)
            rows.append([f"{method}, {where}", *best_at_shares(outcomes, passes, most), seconds])
    yield markdown_table(plain_columns("search", *(f"{share:.0%}" for share in SHARES), "seconds in all"), rows)


def _early_section(race: Race, found: Found) -> Iterator[str]:
    yield "## What an early value says"
    found_rho = _correlations(race, found)
    rows = [[f"best until epoch {epoch}, with the end", found_rho[f"epoch {epoch}"]] for epoch in EPOCHS]
    rows.append(["validation with test, in the end", found_rho["test"]])
    yield markdown_table(
        plain_columns("Spearman's correlation over the grid's points", "rho", format="{:.2f}".format), rows
    )


def _rules_section(found: Found) -> Iterator[str]:
    yield "## Rules that end trials early, on the grid's curves"
    yield (
        f"The grid's points in {ORDERS} random orders, where these count. cost: share of the grid's passes; lost, "
        "worst: mean and largest share of the best value that the winner lacks; kept: share of the orders whose winner "
        "is the best point."
    )
    rows = [[each.rule, each.cost, each.lost, each.worst, each.kept] for each in found.rules]
    yield markdown_table(plain_columns("rule", "cost", "lost", "worst", "kept", format="{:.1%}".format), rows)


def _confirmed_section(race: Race, plan: Plan, found: Found, judged: Sequence[Verdict]) -> Iterator[str]:
    metric = race.spec.training.metric
    yield f"## Winners on {plan.seeds} fresh seeds"
    rows = []
    for name, records in found.confirmed.items():
        runs = [tested(race, each) for each in records]
        rows.append([name, *(_mean_and_spread([each[split] for each in runs]) for split in ("valid", "test"))])
    yield markdown_table(plain_columns("configuration", f"valid {metric}", f"test {metric}", left=3), rows)
    yield (
        "Winner less the grid's winner, on the same seeds. low: lower end of the one-sided 95 % interval; over all "
        "searches the one that reaches lower, of the interval over searches and the one over seeds. Not worse: low is "
        f"above -{MARGIN:.0%} of the grid's winner."
    )
    columns = plain_columns("method", "sampler's seed", "split", "difference", "low", "margin", "not worse", left=3)
    yield markdown_table(columns, [each.cells() for each in judged])
    yield from (each.sentence(plan.share) for each in judged if each.seed is None)


def _luck_section(race: Race, found: Luck) -> Iterator[str]:
    yield f"## The grid on {found.seeds} seeds"
    yield (
        f"Standard deviations of {race.spec.training.metric}: of the points' true values, and of one point over seeds, "
        "without what a seed does to all points; luck: the seeds' share of the variance on one seed."
    )
    rows = [[name, each.points, each.seeds, each.luck] for name, each in (("valid", found.valid), ("test", found.test))]
    yield markdown_table(plain_columns("split", "points", "seeds", "luck"), rows)
    yield (
        "What a rule chooses on one seed is worth on the others, means over the seeds; lost: how much its test value "
        "is below the best point's there."
    )
    rows = [[each.rule, each.valid, each.test, f"{each.lost:.1%}"] for each in found.choices]
    yield markdown_table(plain_columns("choose by", "valid", "test", "lost"), rows)


def _mean_and_spread(values: Sequence[float]) -> str:
    return f"{fmean(values):.4f}" + (f" ± {stdev(values):.4f}" if len(values) > 1 else "")


def draw(race: Race, found: Found, path: Path) -> None:
    """Draw the best validation value so far against cost: means over the sampler's seeds, on a log scale."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(12, 4.5), sharey=True)
    passes = found.grid.passes
    shares = [10 ** (-2 + place / 50) for place in range(101)]
    for axis, title, runs in zip(axes, ("the grid's points", "the space"), (found.offline, found.raced), strict=True):
        axis.set_title(f"{race.spec.model} on {race.spec.dataset}, {title}")
        _line(axis, "grid", [found.grid], shares, passes, color="black", linewidth=2)
        for place, (method, outcomes) in enumerate(runs.items()):
            style = {"color": f"C{place // 2}", "linestyle": "--" if method.prunes else "-"}
            _line(axis, str(method), outcomes, shares, passes, **style)
        axis.axhline(found.grid.best, color="grey", linewidth=0.5)
        axis.set_xscale("log")
        axis.set_xlabel("share of the grid's passes")
        axis.legend(fontsize="small")
    axes[0].set_ylabel(f"best validation {race.spec.training.metric} so far")
    figure.tight_layout()
    with replacing(path) as temporary:
        figure.savefig(temporary, format="svg")
    pyplot.close(figure)


def _line(
    axis: Any, label: str, outcomes: Sequence[Outcome], shares: Sequence[float], passes: int, **style: Any
) -> None:
    most = max(each.passes for each in outcomes) / passes
    points = [
        (share, best) for share in shares if share <= most * 1.05 and (best := mean_best(outcomes, share * passes))
    ]
    if points:
        axis.plot(*zip(*points, strict=True), label=label, **style)
