"""The state of a search, an experiment or an overview, read from its folder alone: while it runs, or afterwards."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from recmodels.errors import UserError
from recmodels.files import read_lines
from tuning.commandlines import replay_command, resume_command
from tuning.proposals import remaining
from tuning.records import SearchFolder, TrialRecord, winner
from tuning.records.holder import is_held, pid_of
from tuning.reports.stages import Stage, stages_of, time_of
from tuning.reports.time_left import TimeLeft, by_trials
from tuning.spec import SearchSpec
from tuning.yaml_document import read_yaml

State = Literal["running", "interrupted", "ended", "waiting", "unreadable"]
GROUPS = {"overview": ("overview.yaml",), "experiment": ("experiment.yaml", "comparison.yaml")}
"""Kind of a group of searches -> the files that one has."""


@dataclass(frozen=True)
class Status:
    """How a search, or a group of them, stands.

    `state`: waiting: not begun. `process`, `host`: that run it, where known. `planned`: trials; `counts`: those that
    finished, were pruned, failed, have run out of memory, and are open, which is running or interrupted. `best`: the
    best validation value of `metric`, of trial `best_trial`. `seconds`: of all trials together. `began`, `written`: the
    first start and the latest epoch, ISO 8601 in UTC. `budget`: unit -> used and total, of the limits that are set.
    `left`: time to the end. `next`: command line. `fault`: why it is unreadable. `members`: of a group, in order.
    """

    name: str
    kind: Literal["search", "confirmation", "experiment", "overview"]
    state: State
    what: str = ""
    process: int | None = None
    host: str | None = None
    planned: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    metric: str | None = None
    best: float | None = None
    best_trial: str | None = None
    seconds: float = 0.0
    began: str | None = None
    written: str | None = None
    budget: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    left: TimeLeft | None = None
    next: str | None = None
    fault: str | None = None
    members: tuple["Status", ...] = ()

    @property
    def ended(self) -> int:
        """Number of trials that have ended with a line in the ledger."""
        return sum(self.counts.get(status, 0) for status in ("finished", "pruned", "failed"))


def is_there(folder: Path) -> bool:
    """Return whether a folder is that of a search or of a group of searches."""
    return any((folder / file).exists() for file in ("spec.yaml", *(name for each in GROUPS.values() for name in each)))


def status_of(folder: Path, output_dir: str) -> Status:
    """Return the status of what a folder holds, which is there; `unreadable` with the fault where a file is damaged.

    `output_dir`: the folder that it is in, as commands are to name it.
    """
    kind = next((kind for kind, files in GROUPS.items() if any((folder / file).exists() for file in files)), "search")
    try:
        if kind == "overview":
            return _group(folder, "overview", _overview_members(folder, output_dir), output_dir)
        if kind == "experiment":
            return _group(folder, "experiment", _experiment_members(folder, output_dir), output_dir)
        return _search(SearchFolder(folder), output_dir)
    except UserError as error:
        return Status(folder.name, "search" if kind == "search" else "experiment", "unreadable", fault=str(error))


def all_in(root: Path) -> Iterator[Status]:
    """Yield the status of everything in a folder by name, each search inside the group that it belongs to."""
    found = {folder.name: status_of(folder, str(root)) for folder in sorted(root.iterdir()) if is_there(folder)}
    inside = {member.name for each in found.values() for member in _all_members(each)}
    yield from (each for name, each in found.items() if name not in inside)


def _all_members(status: Status) -> Iterator[Status]:
    for member in status.members:
        yield member
        yield from _all_members(member)


def _search(folder: SearchFolder, output_dir: str, done: Collection[str] = ()) -> Status:
    """Return the status of a search. `done`: the searches of its experiment that have come to their end."""
    spec, environment = folder.spec(), folder.environment()
    records = list(folder.ledger().values())
    searched = [record for record in records if record.role != "baseline"]
    lost, open_plans = folder.out_of_memory(), folder.unfinished()
    rows = {plan.trial: folder.trial(plan.trial).epochs() for plan in open_plans}
    epochs = sum(record.epochs for record in records) + sum(len(each) for each in rows.values())
    passes = sum(record.passes for record in records) + sum(row.passes for each in rows.values() for row in each)
    budget: dict[str, tuple[float, float]] = {"trials": (len(searched), spec.budget.trials)}
    budget |= {"epochs": (epochs, spec.budget.epochs)} if spec.budget.epochs else {}
    budget |= {"passes": (passes, spec.budget.passes)} if spec.budget.passes else {}
    to_do = remaining(spec, folder)
    over = to_do == len(lost) or any(used >= total for used, total in budget.values())
    held = is_held(folder.path / ".lock")
    state: State = "running" if held else "ended" if over or folder.name in done else "interrupted"
    begun = {name: sum(row.seconds + row.valid_seconds for row in each) for name, each in rows.items()}
    best = winner(records) if spec.role == "search" else None  # the best of some seeds is luck
    left = None
    if held:
        seconds = [record.seconds for record in searched]
        running = [spent for name, spent in begun.items() if name not in lost]
        left = by_trials(seconds, to_do - len(lost), running, len(running))
    counts: Counter[str] = Counter(record.status for record in searched)
    return Status(
        name=folder.name,
        kind=spec.role,
        state=state,
        what=f"{spec.model}, {spec.strategy} on {spec.dataset}",
        process=pid_of(folder.path / ".lock") if held else None,
        host=environment.starts[-1].host if environment else None,
        planned=len(searched) + to_do,
        counts={**counts, "out of memory": len(lost), "open": len(open_plans) - len(lost)},
        metric=spec.training.metric,
        best=best.value if best else None,
        best_trial=best.trial if best else None,
        seconds=sum(record.seconds for record in records) + sum(begun.values()),
        began=environment.starts[0].time if environment else None,
        written=_written(folder, list(rows)),
        budget=budget,
        left=left,
        next=_next(folder, spec, state, output_dir, lost),
    )


def _next(folder: SearchFolder, spec: SearchSpec, state: State, output_dir: str, lost: Collection[str]) -> str | None:
    if state == "interrupted" or (lost and state == "ended"):
        return resume_command(folder.name, output_dir)
    if state == "ended" and folder.best.exists():
        return replay_command(Path(output_dir) / folder.name / folder.best.name, spec.data_dir)
    return None


def _written(folder: SearchFolder, running: Collection[str]) -> str | None:
    """Return when the latest epoch or line of the ledger was written."""
    times = []
    for path in (folder.path / "ledger.jsonl", *(folder.trial(name).path / "epochs.jsonl" for name in running)):
        with suppress(OSError):
            times.append(path.stat().st_mtime)
    return datetime.fromtimestamp(max(times), UTC).isoformat(timespec="seconds") if times else None


def _experiment_members(folder: Path, output_dir: str) -> list[Status]:
    """Return the status of each search of an experiment, of those to come as well."""
    plan = _stages(folder)
    done = {row["search"] for row in read_lines(folder / "done.jsonl")}
    members = []
    for stage in plan:
        place = SearchFolder(folder.with_name(stage.name))
        kind: Literal["search", "confirmation"] = "confirmation" if stage.confirms else "search"
        waiting = Status(stage.name, kind, "waiting", planned=stage.trials)
        members.append(_search(place, output_dir, done) if place.exists() else waiting)
    return members


def _stages(folder: Path) -> list[Stage]:
    """Return the stages that an experiment's file names. UserError for one that is damaged."""
    file = next(folder / name for name in GROUPS["experiment"] if (folder / name).exists())
    document = read_yaml(file, expected="an experiment")
    try:
        searches = [SearchSpec.model_validate(content) for content in document.data["searches"]]
        confirm = document.data.get("confirm", {"top": 1, "seeds": document.data.get("seeds", 0)})
        return stages_of(searches, confirm["top"], confirm["seeds"])
    except (KeyError, TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{file}: not an experiment ({type(error).__name__}: {reason})") from None


def _overview_members(folder: Path, output_dir: str) -> list[Status]:
    """Return the status of all searches and experiments whose name begins with that of the overview."""
    names = sorted(path for path in folder.parent.glob(f"{folder.name}-*") if is_there(path))
    found = [status_of(path, output_dir) for path in names]
    inside = {member.name for each in found for member in each.members}
    return [each for each in found if each.name not in inside]


def _group(folder: Path, kind: Literal["experiment", "overview"], members: list[Status], output_dir: str) -> Status:
    held = is_held(folder / ".lock")
    over = bool(members) and all(member.state == "ended" for member in members)
    if kind == "experiment" and not any(member.state == "interrupted" for member in members):
        over = over or (folder / "result.json").exists()  # what has no result is not confirmed
    state: State = "running" if held else "ended" if over else "interrupted"
    counts: Counter[str] = Counter()
    for member in members:
        counts.update(member.counts)
    return Status(
        name=folder.name,
        kind=kind,
        state=state,
        what=f"{len(members)} {'searches' if kind == 'experiment' else 'members'}",
        process=pid_of(folder / ".lock") if held else None,
        host=next((member.host for member in reversed(members) if member.host), None),
        planned=sum(member.planned for member in members),
        counts=counts,
        seconds=sum(member.seconds for member in members),
        began=min((member.began for member in members if member.began), default=None),
        written=max((member.written for member in members if member.written), default=None),
        left=_left(folder, members) if held and kind == "experiment" else None,
        next=resume_command(folder.name, output_dir) if state == "interrupted" else None,
        members=tuple(members),
    )


def _left(folder: Path, members: list[Status]) -> TimeLeft | None:
    """Return the time that is left to an experiment that runs: that of the search that runs, and of those to come."""
    running = next((member for member in members if member.state == "running"), None)
    if running is None or running.left is None:
        return None
    records: list[TrialRecord] = list(SearchFolder(folder.with_name(running.name)).ledger().values())
    waiting = {member.name for member in members if member.state == "waiting"}
    later = time_of([stage for stage in _stages(folder) if stage.name in waiting], records, running.counts["open"])
    return running.left + later if later else None


def to_json(status: Status) -> dict[str, Any]:
    """Return a status as plain data, without what is not known."""
    fields = {name: getattr(status, name) for name in Status.__dataclass_fields__}
    if status.left:
        fields["left"] = {"low": status.left.low, "high": status.left.high}
    fields["members"] = [to_json(member) for member in status.members]
    return {name: value for name, value in fields.items() if value not in (None, [], {}, "")}
