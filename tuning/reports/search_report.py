"""What a search found, for people: a table for the terminal, a page of Markdown, the next commands."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, get_args

from rich import box
from rich.markup import escape
from rich.table import Table

from tuning.commandlines import next_steps
from tuning.export.winner import export_name
from tuning.records.folder import BASELINE, Status, TrialRecord
from tuning.records.selection import baseline, ranked, winner
from tuning.spec import Scores, SearchSpec

KNOBS = ("alpha", "beta", "interval")
"""Mirror Gradient's parameters: shown wherever they exist, searched or not."""


def shown(value: Any) -> str:
    """A parameter or score for a table: four significant digits, `-` for None."""
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def best_table(records: Iterable[TrialRecord], metric: str, popularity: Scores | None = None, n: int = 10) -> Table:
    """The `n` best trials, one a row, and below them what they are measured by: the baseline and popularity."""
    records = list(records)
    best, plain = ranked(records)[:n], baseline(records)
    knobs = _searched(records)
    table = Table("trial", "status", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in ("epochs", "best epoch", *(key for _, key in knobs), f"valid {metric}", f"test {metric}"):
        table.add_column(escape(name), justify="right")
    for record in best:
        table.add_row(*_cells(record, knobs, metric))
    table.add_section()
    if plain:
        table.add_row(*_cells(plain, knobs, metric))
    if popularity:
        scores = [popularity[split].get(metric) for split in ("valid", "test")]
        table.add_row("popularity", *(shown(value) for value in [None] * (3 + len(knobs)) + scores))
    return table


def below_popularity(scores: Scores, popularity: Scores | None, metric: str) -> str | None:
    """A warning if a model ranks worse than popularity, on validation or on test; None if not, or if nobody knows."""
    if popularity is None:
        return None
    worse = [
        f"{split} {shown(ours[metric])} against {shown(popularity[split][metric])}"
        for split, ours in scores.items()
        if metric in ours and ours[metric] < popularity[split][metric]
    ]
    rule = "warning: the items with most training interactions are a better ranking than this model's"
    return f"{rule}, {metric}: {', '.join(worse)}" if worse else None


def baseline_gain(best: TrialRecord | None, plain: TrialRecord | None, metric: str) -> str | None:
    """What the winner gains over plain training; None unless both trained to their own end."""
    if best is None or plain is None or (best.status, plain.status) != ("finished", "finished"):
        return None
    if best.value is None or plain.value is None:
        return None
    gains = [f"on validation {_gain(best.value, plain.value)}"]
    if metric in best.test and metric in plain.test:
        gains.append(f"on test {_gain(best.test[metric], plain.test[metric])}")
    return (
        f"{metric} against plain training: {'; '.join(gains)}. This is one seed each, and the winner is the best of "
        "several trials on validation while the baseline is one trial, which flatters the winner there: "
        "confirm it on further seeds before calling it better."
    )


def summary_markdown(spec: SearchSpec, records: Iterable[TrialRecord], environment: dict[str, Any]) -> str:
    """The search on one page: counts, winner, metrics, gain over the baseline, where it ran, what to do next."""
    records = list(records)
    best = winner(records)
    gain = baseline_gain(best, baseline(records), spec.training.metric)
    popularity = environment.get("popularity")
    path = Path(spec.export_dir) / export_name(spec) if best else None
    paragraphs = [
        f"## {spec.model} on {spec.dataset}, strategy {spec.strategy}",
        f"Search `{spec.name}`: {_counts(records)}. Sampler {spec.sampler}, scheduler {spec.scheduler.name}. "
        f"Chosen by {spec.training.metric} on validation; test metrics had no part in the choice.",
        *(_winner_paragraphs(best, popularity, spec.training.metric) if best else ["No trial has a result yet."]),
        *([f"### Baseline\n\n{gain}"] if gain else []),
        *([f"### Ran on\n\n{_where(environment)}"] if environment else []),
        "### Next\n\n```sh\n" + "\n".join(next_steps(spec, path)) + "\n```",
    ]
    return "\n\n".join(paragraphs) + "\n"


def _searched(records: Sequence[TrialRecord]) -> list[tuple[str, str]]:
    """(section, name) of each parameter worth a column: the knobs, what was sampled, what differs between trials."""
    tried = [record for record in records if record.trial != BASELINE]
    sampled = {name.split("/")[0] for record in tried for name in record.point}  # beta is sampled as beta/alpha
    values: dict[tuple[str, str], set[str]] = {}
    for record in tried:
        for section, parameters in record.params.items():
            for key, value in parameters.items():
                values.setdefault((section, key), set()).add(repr(value))
    return [
        (section, key) for (section, key), seen in values.items() if key in KNOBS or key in sampled or len(seen) > 1
    ]


def _cells(record: TrialRecord, knobs: Sequence[tuple[str, str]], metric: str) -> list[str]:
    parameters = [record.params.get(section, {}).get(key) for section, key in knobs]
    numbers = [record.epochs, record.best_epoch, *parameters, record.value, record.test.get(metric)]
    return [escape(text) for text in (record.trial, record.status, *map(shown, numbers))]


def _gain(ours: float, theirs: float) -> str:
    relative = f" ({(ours - theirs) / theirs:+.1%})" if theirs else ""
    return f"{shown(ours)} instead of {shown(theirs)}, {ours - theirs:+.2g}{relative}"


def _counts(records: Sequence[TrialRecord]) -> str:
    counts = Counter(record.status for record in records if record.trial != BASELINE)
    parts = ", ".join(f"{counts[status]} {status}" for status in get_args(Status))
    return f"{counts.total()} trials ended ({parts})"


def _winner_paragraphs(best: TrialRecord, popularity: Scores | None, metric: str) -> list[str]:
    early = "" if best.status == "finished" else " No trial finished: this one had been stopped early."
    parameters = {f"{section}.{key}": value for section, part in best.params.items() for key, value in part.items()}
    columns = {"validation": best.valid, "test": best.test}
    if popularity:
        columns |= {"popularity, validation": popularity["valid"], "popularity, test": popularity["test"]}
    warning = below_popularity(best.scores, popularity, metric)
    return [
        f"### Winner: trial {best.trial}",
        f"Best epoch {best.best_epoch} of {best.epochs}, seed {best.seed}.{early}",
        *([f"**{warning}**"] if warning else []),
        markdown_table(["parameter", "value"], parameters.items()),
        markdown_table(
            ["metric", *columns], ((name, *(column.get(name) for column in columns.values())) for name in best.valid)
        ),
    ]


def markdown_table(header: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    """Rows of values, as `shown`."""
    lines = [header, ["---"] * len(header), *([shown(cell).replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _where(environment: dict[str, Any]) -> str:
    data, git = environment["data"], environment["git"]
    cpu = f"{environment['cpu']['name']}, {environment['cpu']['cores']} cores"
    source = f"commit `{git['commit'][:12]}`{' with local changes' if git['dirty'] else ''}" if git else "no checkout"
    return "\n".join(
        (
            f"- data: {data['users']:,} users, {data['items']:,} items, {data['train']:,} / {data['valid']:,} / "
            f"{data['test']:,} interactions, fingerprint `{data['fingerprint'][:12]}`",
            f"- machine: {', '.join([cpu, *(gpu['name'] for gpu in environment['gpus'])])}",
            f"- source: {source}; Python {environment['versions']['python']}",
        )
    )
