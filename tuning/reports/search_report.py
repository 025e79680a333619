"""The result of a search as a table for the terminal and as a page of Markdown."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import get_args

from rich.table import Table

from tuning.commandlines import next_steps
from tuning.records import Confirmation, Environment, Status, Tests, TrialRecord, baseline, ranked
from tuning.records.front import chosen_trial
from tuning.reports import columns
from tuning.reports.columns import TrialRow, ended_row, popularity_row
from tuning.reports.front import front_markdown
from tuning.reports.published import published_lines, published_rows
from tuning.reports.tables import markdown_table, plain_columns, shown, table
from tuning.spec import Scores, SearchSpec

BEST = 10
"""Number of trials in a table of the best."""
SEALED: Tests = MappingProxyType({})
"""No test metrics may be seen."""


def best_table(
    spec: SearchSpec, records: Iterable[TrialRecord], popularity: Scores | None = None, tests: Tests = SEALED
) -> Table:
    """Return the BEST best trials, one a row, and below them the baseline and popularity, which they have to beat, and
    what others published.

    `tests`: the test metrics that may be seen.
    """
    return table(columns.trial_columns(spec), *_rows(spec, records, popularity, tests))


def below_popularity(scores: Mapping[str, Mapping[str, float]], popularity: Scores | None, metric: str) -> str | None:
    """Return a warning if a model ranks worse than popularity on validation or on test; None if it does not, or if
    popularity was not measured."""
    if popularity is None:
        return None
    worse = [
        f"{split} {shown(ours[metric])} against {shown(popularity[split][metric])}"
        for split, ours in scores.items()
        if metric in ours and ours[metric] < popularity[split][metric]
    ]
    rule = "warning: the items with most training interactions are a better ranking than this model's"
    return f"{rule}, {metric}: {', '.join(worse)}" if worse else None


def baseline_gain(
    best: TrialRecord | None, plain: TrialRecord | None, metric: str, tests: Tests = SEALED
) -> str | None:
    """Return a sentence on the winner's gain over plain training; None unless both finished.

    `tests`: the test metrics that may be seen; the gain on test needs those of both.
    """
    if best is None or plain is None or best.value is None or plain.value is None:
        return None
    if (best.status, plain.status) != ("finished", "finished"):
        return None
    gains = [f"on validation {_gain(best.value, plain.value)}"]
    ours, theirs = (tests.get(record.trial, {}) for record in (best, plain))
    if metric in ours and metric in theirs:
        gains.append(f"on test {_gain(ours[metric], theirs[metric])}")
    return (
        f"{metric} against plain training: {'; '.join(gains)}. This is one seed each, and the winner is the best of "
        "several trials on validation while the baseline is one trial, which flatters the winner there: "
        "confirm it on further seeds before calling it better."
    )


def summary_markdown(
    spec: SearchSpec,
    records: Iterable[TrialRecord],
    environment: Environment | None,
    popularity: Scores | None,
    tests: Tests = SEALED,
    resolution: str | None = None,
    confirmation: Confirmation | None = None,
) -> str:
    """Return the search as one page: counts, winner, best trials, gain over the baseline, machine, next commands.

    `tests`: the test metrics that may be seen. `resolution`: what differences between the trials are worth.
    `confirmation`: by which the winner was chosen, if it was.
    """
    records = list(records)
    counts = Counter(record.status for record in records if record.role != "baseline")
    ended = ", ".join(f"{counts[status]} {status}" for status in get_args(Status))
    best = chosen_trial(spec, records, confirmation)
    front = front_markdown(spec, records, best, tests, confirmation) if best and spec.objectives else ""
    none = "No trial has a result yet."
    if spec.role == "confirmation":  # the best of some seeds is luck
        best, none = (
            None,
            "Configurations on fresh seeds: the page of the search that they are from says what was chosen.",
        )
    gain = baseline_gain(best, baseline(records), spec.training.metric, tests)
    trials = markdown_table(columns.trial_columns(spec), *_rows(spec, records, popularity, tests))
    origins = "\n".join(f"- {line}" for line in published_lines(spec, environment))
    path = Path(spec.output_dir) / spec.name / "best.yaml" if best else None  # a better one may stay in `export_dir`
    paragraphs = [
        f"## {spec.model} on {spec.dataset}, strategy {spec.strategy}",
        f"Search `{spec.name}`: {counts.total()} trials ended ({ended}). Sampler {spec.sampler}, "
        f"scheduler {spec.scheduler.name}. Chosen by {', '.join(spec.objectives) or spec.training.metric} on "
        "validation; test metrics had no part in the choice.",
        *(["Warm start:\n\n" + "\n".join(f"- {line}" for line in said)] if (said := spec.warm_start.said) else []),
        *(_winner_paragraphs(best, popularity, spec, tests) if best else [none]),
        *([f"### On fresh seeds\n\n{confirmation.choice}\n\n{confirmation.verdict}"] if confirmation else []),
        *([f"### Front of {', '.join(spec.objectives)}\n\n{front}"] if best and front else []),
        *([f"### Best trials\n\n{trials}"] if best else []),
        *([origins] if best and origins else []),
        *([f"### What a difference means\n\n{resolution}"] if resolution else []),
        *([f"### Baseline\n\n{gain}"] if gain else []),
        *([f"### Ran on\n\n{_where(environment)}"] if environment else []),
        "### Next\n\n```sh\n" + "\n".join(next_steps(spec, path)) + "\n```",
    ]
    return "\n\n".join(paragraphs) + "\n"


def _rows(
    spec: SearchSpec, records: Iterable[TrialRecord], popularity: Scores | None, tests: Tests
) -> list[list[TrialRow]]:
    def row(record: TrialRecord) -> TrialRow:
        return ended_row(record, tests.get(record.trial, {}))

    records = list(records)
    references = [row(record) for record in [baseline(records)] if record]
    if popularity:
        references.append(popularity_row(popularity, spec.training.metric))
    references += published_rows(spec)
    return [[row(record) for record in ranked(records)[:BEST]], references]


def _gain(ours: float, theirs: float) -> str:
    relative = f" ({(ours - theirs) / theirs:+.1%})" if theirs else ""
    return f"{shown(ours)} instead of {shown(theirs)}, {ours - theirs:+.2g}{relative}"


def _winner_paragraphs(best: TrialRecord, popularity: Scores | None, spec: SearchSpec, tests: Tests) -> list[str]:
    early = "" if best.status == "finished" else " No trial finished: this one had been stopped early."
    parameters = {f"{section}.{key}": value for section, part in best.params.items() for key, value in part.items()}
    test = tests.get(best.trial, {})
    scores: dict[str, Mapping[str, float]] = {"validation": best.valid, "test": test}
    if popularity:
        scores |= {"popularity, validation": popularity["valid"], "popularity, test": popularity["test"]}
    metrics = [[name, *(each.get(name) for each in scores.values())] for name in best.valid]
    warning = below_popularity({"valid": best.valid, "test": test}, popularity, spec.training.metric)
    return [
        f"### Winner: trial {best.trial}",
        f"Best epoch {best.best_epoch} of {best.epochs}, seed {best.seed}.{early}",
        *([f"It ended after {best.reason}."] if best.status == "finished" else []),
        *([f"**{warning}**"] if warning else []),
        markdown_table(plain_columns("parameter", "value"), parameters.items()),
        markdown_table(plain_columns("metric", *scores), metrics),
    ]


def _where(environment: Environment) -> str:
    data, git = environment.data, environment.git
    cpu = f"{environment.cpu.name}, {environment.cpu.cores} cores"
    source = f"commit `{git.commit[:12]}`{' with local changes' if git.dirty else ''}" if git else "no checkout"
    sizes = f"{data.users:,} users, {data.items:,} items, {data.train:,} / {data.valid:,} / {data.test:,} interactions"
    lines = [
        f"- data: {sizes}, fingerprint `{data.fingerprint[:12]}`",
        f"- machine: {', '.join([cpu, *(gpu.name for gpu in environment.gpus)])}",
        f"- source: {source}; Python {environment.versions['python']}",
    ]
    return "\n".join(lines)
