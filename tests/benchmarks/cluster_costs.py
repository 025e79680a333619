"""What searches cost beside their training, told apart from a few that were measured, and worked out for more."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.benchmarks.table import number, table_row

PAIRS, TRIALS, EPOCHS = 40, 100, 200
"""The overview that is worked out."""
A_DAY, TRIALS_A_DAY = 86_400, 10_000


@dataclass(frozen=True)
class Use:
    """What a search took: wall-clock seconds; CPU seconds of the driver, and of Ray's servers on its machine; bytes
    that the driver held at its end."""

    seconds: float
    driver: float
    servers: float
    memory: int


@dataclass(frozen=True)
class Costs:
    """CPU seconds for a report, a trial and a search."""

    report: float
    trial: float
    search: float

    def of(self, searches: int, trials: int, epochs: int) -> float:
        """The CPU seconds of so many searches with so many trials each, of so many epochs."""
        return searches * (self.search + trials * (self.trial + epochs * self.report))


@dataclass(frozen=True)
class Records:
    """What a store of records took for trials of some epochs: CPU seconds of the driver, values, bytes on disk."""

    epochs: int
    seconds: float
    values: int
    size: int


def told_apart(
    once: float, reports: float, trials: float, *, workers: int, more_reports: int, more_trials: int
) -> Costs:
    """The costs, from the seconds of three searches: of a trial of one epoch on each worker, `once`; the same with
    `more_reports` from each trial; and with `more_trials` of one epoch."""
    report = (reports - once) / (workers * more_reports)
    trial = (trials - once) / more_trials - report
    return Costs(report, trial, once - workers * (trial + report))


def costs_table(driver: Costs, servers: Costs) -> str:
    """What each costs, in milliseconds of a CPU."""
    rows = [("a report", driver.report, servers.report), ("a trial", driver.trial, servers.trial)]
    rows.append(("a search", driver.search, servers.search))
    cells = [[name, number(1e3 * one), number(1e3 * other)] for name, one, other in rows]
    return _table(["CPU ms", "driver", "Ray's servers"], cells)


def searches_table(uses: Sequence[Use], driver: Costs, trials: int, epochs: int) -> str:
    """The searches that ran one after the other, and the driver's seconds that the costs foretell."""
    foretold = number(driver.of(1, trials, epochs))
    cells = [
        [str(place), number(use.seconds), number(use.driver), foretold, number(use.servers), number(use.memory / 2**20)]
        for place, use in enumerate(uses, start=1)
    ]
    return _table(["search", "wall s", "driver s", "foretold s", "Ray's servers s", "driver MiB"], cells)


def loads_table(driver: Costs, servers: Costs, records: Records) -> str:
    """What the overview takes, and so many trials a day."""
    loads = [(f"{PAIRS} searches x {TRIALS} trials x {EPOCHS} epochs", PAIRS, TRIALS)]
    loads.append((f"{TRIALS_A_DAY:,} trials x {EPOCHS} epochs", TRIALS_A_DAY // TRIALS, TRIALS))
    cells = []
    for name, searches, trials in loads:
        epochs = searches * trials * EPOCHS
        share = epochs / records.epochs
        figures = [f"{epochs / 1e6:.1f}", f"{driver.of(searches, trials, EPOCHS) / 3600:.2f}"]
        figures += [f"{servers.of(searches, trials, EPOCHS) / 3600:.2f}", f"{share * records.seconds / 3600:.2f}"]
        cells.append([name, *figures, f"{share * records.values / 1e6:.0f}", f"{share * records.size / 2**30:.1f}"])
    heads = ["load", "million reports", "driver h", "Ray's servers h", "MLflow h"]
    return _table([*heads, "million values", "MLflow GiB"], cells)


def most_a_day(driver: Costs, records: Records | None = None) -> float:
    """The trials of EPOCHS epochs, in searches of TRIALS, with which the driver would compute all day; with records
    those are made in the same process, which computes on one core."""
    recording = TRIALS * EPOCHS * records.seconds / records.epochs if records else 0.0
    return A_DAY * TRIALS / (driver.of(1, TRIALS, EPOCHS) + recording)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(table_row(each, widths) for each in (heads, rule, *rows))
