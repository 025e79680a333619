"""The files of a flatness analysis: a row for each trial as CSV, everything as JSON, and a page of text as Markdown."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recmodels.files import write_whole
from tuning.analyses.flatness import Asked, Row
from tuning.analyses.flatness_correlations import Correlated, verdicts
from tuning.analyses.flatness_numbers import Summary, quantities
from tuning.analyses.flatness_tables import (
    difference,
    level,
    main_columns,
    main_correlations,
    strategy_table,
    trial_record,
)
from tuning.analyses.results import write_csv, write_json
from tuning.analyses.runs import Runs
from tuning.records.environment import DataFacts
from tuning.reports.tables import markdown_table


@dataclass(frozen=True, eq=False)
class Flatness:
    """A whole flatness analysis. `command`: the line that makes it again, without folders."""

    asked: Asked
    rows: tuple[Row, ...]
    correlations: tuple[Correlated, ...]
    summaries: tuple[Summary, ...]
    runs: Runs
    data: DataFacts
    command: str

    @property
    def verdicts(self) -> list[str]:
        """A sentence for each model."""
        return verdicts(self.asked, self.rows, self.correlations)


def write_tables(folder: Path, flatness: Flatness) -> None:
    """Write flatness.csv, flatness-correlations.csv, flatness-strategies.csv, flatness.json and flatness.md."""
    columns = quantities(flatness.asked, flatness.rows)
    trials = [trial_record(row, columns) for row in flatness.rows]
    found = [_correlation(each) for each in flatness.correlations]
    strategies = [_summary(each) for each in flatness.summaries]
    for name, records in {"": trials, "-correlations": found, "-strategies": strategies}.items():
        path = folder / f"flatness{name}.csv"
        write_csv(path, records) if records else path.unlink(missing_ok=True)
    noise = flatness.asked.noise
    settings = {
        **asdict(flatness.asked.fixed),
        "scope": flatness.asked.scope,
        "tasks": [asdict(task) for task in flatness.asked.tasks],
        "measures": {measure.name: list(levels) for measure, levels in noise.measures},
        "repeats": noise.repeats,
        "metric": noise.metric,
        "split": noise.split,
    }
    content = {
        "kind": "flatness",
        "command": flatness.command,
        "verdicts": flatness.verdicts,
        "settings": settings,
        "quantities": {each.name: each.title for each in columns},
        "data": asdict(flatness.data),
        "trials": trials,
        "left_out": list(flatness.runs.left_out),
        "correlations": found,
        "strategies": strategies,
    }
    write_json(folder / "flatness.json", content)
    write_whole(folder / "flatness.md", markdown(flatness))


def _correlation(each: Correlated) -> dict[str, Any]:
    spearman, kendall = each.found.spearman, each.found.kendall
    return {
        "model": each.model,
        "among": each.among,
        "sharpness": each.sharpness,
        "outcome": each.outcome,
        "n": each.found.n,
        "spearman": spearman.value,
        "spearman low": spearman.low,
        "spearman high": spearman.high,
        "kendall": kendall.value,
        "kendall low": kendall.low,
        "kendall high": kendall.high,
        "p": each.found.p,
        "p Holm": each.p,
    }


def _summary(each: Summary) -> dict[str, Any]:
    test = each.difference
    return {
        "model": each.model,
        "strategy": each.strategy,
        "quantity": each.quantity,
        "n": each.n,
        "mean": each.mean,
        "deviation": each.deviation,
        "difference": test and test.difference,
        "difference low": test and test.low,
        "difference high": test and test.high,
        "difference p Holm": test and test.p,
        "seeds": test and test.n,
    }


def how(flatness: Flatness) -> str:
    """Return how everything was measured, in a few sentences."""
    asked = flatness.asked
    fixed, noise = asked.fixed, asked.noise
    return (
        f"Sharpness: of the training loss over {fixed.batches} x {fixed.batch_size} pairs, the same for all trials; "
        f"weights: {asked.scope}. Noise: means over draws, the same for all trials, {noise.repeats} at each level; "
        f"{noise.metric} on {'validation' if noise.split == 'valid' else 'test'}. Seed of all draws: {fixed.seed}."
    )


READING = (
    "Intervals of correlations are by Fisher's z, which takes trials for independent. Seeds of one strategy are alike, "
    "so the intervals among all trials are narrower than they should be. The means of strategies show what is left of "
    "a relation across strategies, and within strategies (each value less its strategy's mean) what seeds alone say."
)


def looked_at(flatness: Flatness) -> str:
    """Return how many correlations there are, and what was made of that."""
    tested = [each for each in flatness.correlations if each.p is not None]
    survive = sum(each.p < 0.05 for each in tested if each.p is not None)
    return (
        f"{len(flatness.correlations)} rank correlations were looked at; {len(tested)} have enough trials for a test, "
        f"and {survive} of these are told apart from none after Holm's correction for all of them."
    )


def markdown(flatness: Flatness) -> str:
    """Return the results as a document."""
    asked, rows, data = flatness.asked, flatness.rows, flatness.data
    models = ", ".join(dict.fromkeys(row.run.spec.model for row in rows))
    levels, lines = strategy_table(asked, rows, flatness.summaries, level)
    columns, differences = strategy_table(asked, rows, flatness.summaries, difference)
    own = main_correlations(asked, rows, flatness.correlations)
    parts = [
        f"# Does flatness predict robustness? {models} on {data.name}",
        "\n".join(
            [
                f"- command: {flatness.command}",
                f"- trials: {len(rows)}, of {', '.join(dict.fromkeys(row.run.folder.name for row in rows))}",
                f"- data: {data.name}: {data.users:,} users x {data.items:,} items, fingerprint {data.fingerprint}",
                *(f"- {line}" for line in flatness.runs.left_out),
            ]
        ),
        "\n".join(flatness.verdicts),
        how(flatness),
        "## Strategies",
        "Mean ± standard deviation over the runs.",
        markdown_table(levels, lines),
    ]
    if differences:
        parts += [
            "## Difference from plain",
            "Paired by seed, with its 95 % interval by Student's t; a star where it survives Holm's correction for the "
            "strategies.",
            markdown_table(columns, differences),
        ]
    parts += ["## Rank correlations", f"{looked_at(flatness)} {READING}"]
    if own:
        parts.append(markdown_table(main_columns(), own))
    return "\n\n".join(parts) + "\n"
