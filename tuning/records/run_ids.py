"""The runs of a search in tracking stores, kept in its tracking.jsonl."""

import hashlib
import json
from dataclasses import asdict

from recmodels.files import append_line, read_lines
from tuning.records.folder import SearchFolder


class RunIds:
    """The run ids of a search at one address. `ids`: trial, or `search` for the search itself, -> run id.

    `experiment`: the store's id of the experiment that the runs are in; None before the first of them.
    """

    def __init__(self, folder: SearchFolder, address: str) -> None:
        rows = read_lines(folder.tracking)
        self.search_id: str = rows[0]["search_id"] if rows else _search_id(folder)
        own = [row for row in rows if row["uri"] == address]
        self.ids: dict[str, str] = {row["run"]: row["run_id"] for row in own}
        self.experiment: str | None = own[-1]["experiment_id"] if own else None
        self._path, self._address = folder.tracking, address

    def remember(self, name: str, run_id: str, experiment: str) -> None:
        if self.ids.get(name) != run_id:
            row = {"run": name, "run_id": run_id, "uri": self._address, "experiment_id": experiment}
            append_line(self._path, {**row, "search_id": self.search_id})
            self.ids[name], self.experiment = run_id, experiment


def _search_id(folder: SearchFolder) -> str:
    """Tells this search from others of its name, and comes out the same if tracking.jsonl is lost."""
    environment = folder.environment()
    first = asdict(environment.starts[0]) if environment else str(folder.path.resolve())
    return hashlib.sha256(json.dumps([folder.name, first], sort_keys=True).encode()).hexdigest()[:16]
