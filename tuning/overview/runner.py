"""Run the experiments of an overview one after the other; one that was killed goes on where it stopped.

A pair that fails is noted with its reason, and the others go on; the next start tries it again.
"""

import gc
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from recmodels.data.dataset import RecDataset
from recmodels.errors import UserError
from recmodels.files import append_line, read_lines, write_whole
from tuning.execution.memory import memory_lack
from tuning.overview.plan import Overview, PlannedPair
from tuning.overview.results import fault_of

REOPENED = "complete, and to be shown once more"


def run_overview(
    overview: Overview,
    load: Callable[[PlannedPair], RecDataset],
    run: Callable[[PlannedPair, RecDataset], bool],
    told: Callable[[PlannedPair], None],
) -> bool:
    """Run the pairs that have not come to their end, data set after data set; return False if the user interrupted.

    `load`: returns the data of a pair, and is called once for all pairs that have the same; they are freed behind the
    last of these. `run`: starts or resumes the experiment of a pair and returns False if the user interrupted it. Both
    may raise anything for a pair that fails. `told`: is told each pair that has ended.
    """
    overview.write()
    for group in overview.by_data(remaining_pairs(overview)):
        try:
            data = load(group[0])
        except Exception as error:
            fault = _reason(overview, group[0], error)
            for pair in group:
                _note(overview, pair.name, fault)
                told(pair)
            continue
        for pair in group:
            try:
                if not run(pair, data):
                    return False
                reason = fault_of(pair)
            except Exception as error:  # whatever it is, the other pairs are not to wait for it
                reason = _reason(overview, pair, error)
            _note(overview, pair.name, reason)
            told(pair)
        del data
        gc.collect()  # a search and its tracker refer to each other, and may be hundreds of MB
    return True


def reopen(overview: Overview) -> None:
    """Let the pairs that have ended run once more, which trains nothing but shows and records what is wanted now."""
    for name, fault in ended_pairs(overview).items():
        if fault is None:
            _note(overview, name, REOPENED)


def ended_pairs(overview: Overview) -> dict[str, str | None]:
    """Return the name of each pair that has ended -> why it failed, None if it did not."""
    return {row["pair"]: row["fault"] for row in read_lines(overview.folder / "pairs.jsonl")}


def remaining_pairs(overview: Overview) -> list[PlannedPair]:
    """Return the pairs that have not ended, and those that failed."""
    ended = ended_pairs(overview)
    return [pair for pair in overview.pairs if ended.get(pair.name, "not begun") is not None]


def _note(overview: Overview, pair: str, fault: str | None) -> None:
    append_line(overview.folder / "pairs.jsonl", {"pair": pair, "fault": fault}, sync=True)


def _reason(overview: Overview, pair: PlannedPair, error: Exception) -> str:
    """Return an exception as one line. That of a bug says where its traceback is."""
    if isinstance(error, UserError):
        return str(error)
    if lack := memory_lack(error):
        return str(lack)
    path = _trace(overview.folder / f"{pair.name}.error.txt")
    return f"{type(error).__name__}: {' '.join(str(error).split())}{path}"


def _trace(path: Path) -> str:
    """Write the traceback of the exception that is handled; return where it is, as the end of a line."""
    with suppress(OSError):  # of a full disk, most likely the reason itself
        write_whole(path, traceback.format_exc())
        return f" ({path})"
    return ""
