"""The test metrics of trials, apart from all other records: what chooses among trials cannot read them.

A trial's are in its test.json, and this module alone reads that file. Import contracts in pyproject.toml name who may
import it: who reports what was chosen, and nobody who proposes, trains, stops or ranks trials.
"""

from collections.abc import Iterable
from typing import Any

from recmodels.errors import UserError
from recmodels.files import read_lines
from tuning.records.folder import SearchFolder, TrialFolder, read_json
from tuning.records.trials import Tests, TrialRecord
from tuning.spec import SearchSpec


def open_test(trial: TrialFolder) -> dict[str, float]:
    """Return the test metrics of a trial's best weights; {} if they were not measured.

    Searches from before test.json have them in result.json and in the ledger. UserError if a file has something else.
    """
    path, result = trial.path / "test.json", trial.path / "result.json"
    if path.exists():
        return _metrics(read_json(path), path)
    if result.exists() and "test" in (content := read_json(result)):
        return _metrics(content["test"], result)
    ledger = trial.path.parent.parent / "ledger.jsonl"
    lines = [row for row in read_lines(ledger) if row.get("trial") == trial.name]
    return _metrics(lines[-1].get("test", {}), ledger) if lines else {}


def opened(folder: SearchFolder, spec: SearchSpec, records: Iterable[TrialRecord], chosen: str | None) -> Tests:
    """Return the test metrics of those `records` whose test metrics may be seen.

    `chosen`: name of the trial that was chosen; None before the choice. That trial's may be seen; all with `show_test`;
    and, after the choice, all of a confirmation, in which every trial is a fresh seed.
    """
    everyone = spec.show_test or (spec.role == "confirmation" and chosen is not None)
    names = [record.trial for record in records if everyone or record.trial == chosen]
    return {name: open_test(folder.trial(name)) for name in names}


def _metrics(content: Any, source: object) -> dict[str, float]:
    if isinstance(content, dict) and all(type(value) in (int, float) for value in content.values()):
        return content
    raise UserError(f"{source}: expected test metrics, a number for each name such as recall@20, but got {content!r}")
