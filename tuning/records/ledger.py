"""The ledger of a search, each line of which is read once however often one looks."""

import json
from contextlib import suppress
from pathlib import Path

from tuning.records.trials import TrialRecord


class Ledger:
    """Reads an append-only file of TrialRecords, from where it stopped the last time."""

    def __init__(self, path: Path):
        self._path, self._end = path, 0
        self._records: dict[str, TrialRecord] = {}

    def records(self) -> dict[str, TrialRecord]:
        """Return trial name -> record of the trials that have ended, in the order in which they ended; {} without a
        file. Lines torn by a crash are left out. UserError for a line of another version or shape."""
        if self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._end)
                for line in file:
                    row = None
                    with suppress(ValueError):
                        row = json.loads(line)
                    if row is None and not line.endswith(b"\n"):
                        break  # it is being written
                    if row is not None:
                        record = TrialRecord.from_json(row, self._path)
                        self._records[record.trial] = record
                    self._end += len(line)
        return dict(self._records)
