"""TensorBoard's event files as a tracking store; the only file that imports tensorboardX, when something is written.

PLACE/0003/run.json              what a store is asked for again: state, tags, parameters
PLACE/0003/events.out.tfevents.* the points, an epoch in one record, so that a kill leaves it whole or not at all

A place that is not in a search's own folder has a folder for each search: PLACE/NAME/0003.
"""

import hashlib
import json
import struct
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recmodels.errors import UserError
from recmodels.files import write_whole
from tuning.tracking.points import LAST_POINT_OF_EPOCH, Point
from tuning.tracking.store import SEARCH, RunState, Store, StoredRun

if TYPE_CHECKING:
    from tensorboardX.event_file_writer import EventsWriter
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.proto.summary_pb2 import Summary

SCHEME = "tensorboard"
FILE = "run.json"
TRIAL = "mirrortune.trial"
IDENTITY = ("model", "dataset")
"""Tags that are shown among the hyper-parameters, as one page may have several searches."""


@dataclass
class _Run:
    """A run that is written to. `have`: the points in its event files. `page`: of people, written at the end."""

    folder: Path
    stored: StoredRun
    page_digest: str
    have: set[tuple[str, int, float]]
    page: str = ""
    writer: "EventsWriter | None" = field(default=None, repr=False)

    def add(self, summary: "Summary", seconds: float, step: int = 0) -> None:
        """Write one record, at `seconds` (unix s)."""
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event

        if self.writer is None:
            # Event files are read in the order of their names, which begin with the whole second alone.
            suffix = f".{time.time_ns() % 10**9:09}"
            self.writer = EventsWriter(str(self.folder / "events"), suffix)
        self.writer.write_event(Event(wall_time=seconds, step=step, summary=summary))

    def flush(self) -> None:
        """Bring the event files to the disk."""
        if self.writer:
            self.writer.flush()

    def save(self) -> None:
        """Bring everything to the disk, the event files before what says that they are complete."""
        self.flush()
        content = {**self.stored._asdict(), "page_digest": self.page_digest}
        write_whole(self.folder / FILE, json.dumps(content, indent=1))


class TensorBoardStore(Store):
    """A folder of runs that `tensorboard --logdir` shows. Raises OSError if it cannot be written."""

    title = "TensorBoard"

    def __init__(self, uri: str, experiment: str, experiment_id: str | None = None) -> None:
        self._place, self.experiment = _place(uri), experiment
        self._runs: dict[str, _Run] = {}

    @staticmethod
    def resolve(uri: str) -> str:
        place = _place(uri)
        if place.is_file():
            raise UserError(f"{uri}: {place} is a file, expected a folder")
        return f"{SCHEME}:{place}"

    def find(self, search_id: str, known: Mapping[str, str]) -> dict[str, StoredRun]:
        files = sorted({*self._place.glob(f"*/{FILE}"), *self._place.glob(f"*/*/{FILE}")})
        runs = [StoredRun(**_without_page(_content(file))) for file in files]
        own = [run for run in runs if run.tags["mirrortune.search_id"] == search_id]
        return {run.tags.get(TRIAL, SEARCH): run for run in own}

    def create(self, title: str, start: float, tags: Mapping[str, str], parent: str | None) -> StoredRun:
        search, name, place = tags["mirrortune.search"], tags.get(TRIAL, SEARCH), self._place
        if place.parent.name != search:
            place /= search
        taken = {folder.parent.name for folder in place.glob(f"*/{FILE}")}  # by another search of this name
        number = next(number for number in range(1, len(taken) + 2) if _numbered(name, number) not in taken)
        folder = place / _numbered(name, number)
        run = StoredRun(str(folder.relative_to(self._place)), "RUNNING", dict(tags), {})
        self._runs[run.id] = _Run(folder, run, "", set())
        self._runs[run.id].save()
        return run

    def reopen(self, run_id: str) -> None:
        self._change(self._run(run_id), state="RUNNING")

    def epochs(self, run_id: str) -> set[int]:
        return {step for name, step, _ in self._run(run_id).have if name == LAST_POINT_OF_EPOCH}

    def log(self, run_id: str, points: list[Point], tags: Mapping[str, str], params: Mapping[str, str]) -> None:
        """Add what is not there yet: equal points are kept once."""
        from tensorboardX.proto.summary_pb2 import Summary

        run = self._run(run_id)
        new = [point for point in points if _key(point) not in run.have]
        for step, group in groupby(new, attrgetter("step")):
            same = list(group)
            values = [Summary.Value(tag=point.name, simple_value=point.value) for point in same]
            run.add(Summary(value=values), same[-1].time / 1000, step)
            run.have |= {_key(point) for point in same}
        if params and not run.stored.params and TRIAL in run.stored.tags:
            own = {name: run.stored.tags[name] for name in IDENTITY if name in run.stored.tags}
            run.add(_hyperparameters({**own, **params}), time.time())
        state = run.stored.state
        if tags or params:
            self._change(run, tags={**run.stored.tags, **tags}, params={**run.stored.params, **params})
        else:
            run.flush()
        if state != "RUNNING":
            self._close(run_id)

    def describe(self, run_id: str, markdown: str) -> None:
        """Keep the page for the end: a file of events can only grow."""
        self._run(run_id).page = markdown

    def end(self, run_id: str, state: RunState, seconds: float) -> None:
        run = self._run(run_id)
        digest = hashlib.sha256(run.page.encode()).hexdigest()
        if run.page and digest != run.page_digest:
            from tensorboardX.summary import text

            run.add(text("winner", run.page), seconds)
            run.page_digest = digest
        # TensorBoard keeps the first end that it reads, and a run that was cut short may go on.
        if TRIAL in run.stored.tags and state != "KILLED" and run.stored.state != state:
            run.add(_ended(state, seconds), seconds)
        self._change(run, state=state)
        self._close(run_id)

    def upload(self, run_id: str, path: Path) -> None:
        """TensorBoard has no place for files; the search's folder has them."""

    def refused(self, error: Exception) -> bool:
        return not isinstance(error, OSError)

    def _run(self, run_id: str) -> _Run:
        if run_id not in self._runs:
            folder = self._place / run_id
            content = _content(folder / FILE)
            have = {
                (value.tag, event.step, value.simple_value)
                for event in events(folder)
                for value in event.summary.value
                if value.HasField("simple_value")
            }
            self._runs[run_id] = _Run(folder, StoredRun(**_without_page(content)), content["page_digest"], have)
        return self._runs[run_id]

    def _change(self, run: _Run, **fields: Any) -> None:
        run.stored = run.stored._replace(**fields)
        run.save()

    def _close(self, run_id: str) -> None:
        if writer := self._runs.pop(run_id).writer:
            writer.close()


def events(folder: Path) -> Iterator["Event"]:
    """Yield the records of a run's event files; of one that a crash tore, those before the tear.

    A record is its length (uint64), a checksum of that (uint32), an Event, and a checksum of it.
    """
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import masked_crc32c

    for path in sorted(folder.glob("events.out.tfevents.*")):
        content, place = path.read_bytes(), 0
        while place + 12 <= len(content):
            (length,) = struct.unpack_from("<Q", content, place)
            end = place + 12 + length
            record, check = content[place + 12 : end], content[end : end + 4]
            if len(check) < 4 or struct.unpack("<I", check) != (masked_crc32c(record),):
                break
            yield Event.FromString(record)
            place = end + 4


def _place(uri: str) -> Path:
    scheme, _, place = uri.partition(":")
    if scheme != SCHEME or not place:
        raise UserError(f"{uri}: expected {SCHEME}:FOLDER")
    return Path(place).resolve()


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-{number}"


def _content(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _without_page(content: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name != "page_digest"}


def _key(point: Point) -> tuple[str, int, float]:
    """A point as it comes back from a file, which keeps 32 bits of its value."""
    return point.name, point.step, struct.unpack("f", struct.pack("f", point.value))[0]


def _hyperparameters(params: Mapping[str, str]) -> "Summary":
    """The start of a run on the page HPARAMS. What reads as a number is one, so that axes and filters order it."""
    from tensorboardX.proto.plugin_hparams_pb2 import SessionStartInfo

    start = SessionStartInfo()
    for name, text in params.items():
        try:
            start.hparams[name].number_value = float(text)
        except ValueError:
            start.hparams[name].string_value = text
    return _on_hparams("session_start_info", session_start_info=start)


def _ended(state: RunState, seconds: float) -> "Summary":
    from tensorboardX.proto.api_pb2 import Status
    from tensorboardX.proto.plugin_hparams_pb2 import SessionEndInfo

    status = Status.Value("STATUS_FAILURE" if state == "FAILED" else "STATUS_SUCCESS")
    return _on_hparams("session_end_info", session_end_info=SessionEndInfo(status=status, end_time_secs=seconds))


def _on_hparams(name: str, **content: Any) -> "Summary":
    from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData
    from tensorboardX.proto.summary_pb2 import Summary, SummaryMetadata

    plugin = SummaryMetadata.PluginData(
        plugin_name="hparams", content=HParamsPluginData(version=0, **content).SerializeToString()
    )
    return Summary(value=[Summary.Value(tag=f"_hparams_/{name}", metadata=SummaryMetadata(plugin_data=plugin))])
