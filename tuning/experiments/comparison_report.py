"""A comparison's result for people: one table, and what may be said of it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from statistics import fmean, stdev

from rich import box
from rich.markup import escape
from rich.table import Table

from recmodels.evaluation.paired_tests import LEVEL, PairedTest
from recmodels.files import write_whole
from tuning.experiments.comparison import REFERENCE, Comparison, Line
from tuning.reports.search_report import markdown_table, shown
from tuning.spec import Scores

HEADER = (
    "strategy",
    "trials",
    "passes",
    "valid",
    "test",
    "gain",
    "p users",
    "p seeds",
    "s/epoch",
    "cost",
    "best epoch",
)


def result_table(lines: Sequence[Line], popularity: Scores | None, metric: str) -> Table:
    """The reference first. `passes`: forward and backward passes of the search; `cost`: passes per epoch over the
    reference's; `gain`: of the test metric over the reference's; p after Holm's correction."""
    table = Table(title=metric, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in HEADER:
        table.add_column(name, justify="left" if name == "strategy" else "right")
    for row in rows(lines, popularity, metric):
        table.add_row(*map(escape, row))
    return table


def rows(lines: Sequence[Line], popularity: Scores | None, metric: str) -> list[list[str]]:
    reference = next(line for line in lines if line.strategy == REFERENCE)
    found = [_row(line, reference, metric) for line in lines]
    if popularity:
        scores = [shown(popularity[split].get(metric)) for split in ("valid", "test")]
        found.append(["popularity", "-", "-", *scores, *["-"] * 6])
    return found


def remarks(comparison: Comparison, lines: Sequence[Line], popularity: Scores | None) -> Iterator[str]:
    """What the differences come to, one line each."""
    seeds = max((len(line.tested) for line in lines), default=0)
    yield (
        f"Each strategy's best configuration by validation {comparison.metric}, "
        + (f"trained on {seeds} fresh seeds" if comparison.seeds else "on the seed of its search")
        + f"; test differences from {REFERENCE} by paired t tests, level {LEVEL:g} after Holm's correction."
    )
    for line in lines:
        if line.strategy != REFERENCE:
            yield f"{line.strategy}: {_verdict(line)}"
    floor = popularity["test"].get(comparison.metric, 0.0) if popularity else 0.0
    if weak := [line.strategy for line in lines if line.tested and fmean(_test(line, comparison.metric)) < floor]:
        yield (
            f"Below popularity on test ({shown(floor)}): {', '.join(weak)}. "
            "A gain over a base that weak says little: train longer, or tune the base (--tune all)."
        )
    one = [line.strategy for line in lines if line.trials == 1]
    if one:
        yield (
            f"One trial only, as nothing of it was searched: {', '.join(one)}. "
            "The others are the best of several; --controls, or --tune all for a searched base, levels that."
        )
    if rebuilt := [line.strategy for line in lines if line.reconstruction]:
        yield f"Reconstructions, not to be taken for the results of their papers: {', '.join(rebuilt)}."


def write_result(comparison: Comparison, lines: Sequence[Line], popularity: Scores | None) -> None:
    """result.md for people and result.json for programs."""
    table = markdown_table(HEADER, rows(lines, popularity, comparison.metric))
    said = "\n".join(f"- {remark}" for remark in remarks(comparison, lines, popularity))
    spec = comparison.searches[0]
    title = f"## {spec.model} on {spec.dataset}, {comparison.metric}"
    write_whole(comparison.folder / "result.md", f"{title}\n\n{table}\n\n{said}\n")
    content = {"metric": comparison.metric, "popularity": popularity, "strategies": [asdict(line) for line in lines]}
    write_whole(comparison.folder / "result.json", json.dumps(content, indent=1))


def _row(line: Line, reference: Line, metric: str) -> list[str]:
    ours, theirs = (_test(each, metric) for each in (line, reference))
    gain = (
        f"{fmean(ours) / fmean(theirs) - 1:+.1%}" if line is not reference and ours and theirs and any(theirs) else "-"
    )
    spread = f" ± {stdev(ours):.2g}" if len(ours) > 1 else ""
    cost = line.passes_per_epoch and reference.passes_per_epoch and line.passes_per_epoch / reference.passes_per_epoch
    best = [record.best_epoch for record in line.tested if record.best_epoch]
    return [
        line.strategy + ("*" if line.reconstruction else ""),
        str(line.trials),
        str(line.passes),
        shown(line.best.value if line.best else None),
        f"{shown(fmean(ours))}{spread}" if ours else "-",
        gain,
        *(f"{each.p:.2g}" if each else "-" for each in (line.users, line.seeds)),
        f"{line.seconds_per_epoch:.3g}" if line.seconds_per_epoch else "-",
        f"{cost:.2f}" if cost else "-",
        f"{fmean(best):.0f}" if best else "-",
    ]


def _test(line: Line, metric: str) -> list[float]:
    return [record.test[metric] for record in line.tested]


def _verdict(line: Line) -> str:
    if not line.users and not line.seeds:
        return "nothing to compare, it has no test metrics beside the reference's"
    parts = [_part("users", line.users), _part("seeds", line.seeds)]
    contrast = line.users or line.seeds
    assert contrast is not None
    size = f"{contrast.difference:+.2g} [{contrast.low:+.2g}, {contrast.high:+.2g}]"
    return f"{size} on test; " + ", ".join(part for part in parts if part)


def _part(what: str, contrast: PairedTest | None) -> str:
    if contrast is None:
        return ""
    verdict = "survives" if contrast.survives else "does not survive"
    return f"{verdict} the test over {contrast.n} {what} (p {contrast.p:.2g})"
