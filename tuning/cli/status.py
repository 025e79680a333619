"""`run_search.py status NAME`: how a search or an experiment stands, read from its folder, without Ray."""

import json
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from recmodels.errors import UserError, did_you_mean
from tuning.cli.arguments import Parser
from tuning.cli.commands import COMMANDS
from tuning.reports.status import Status, all_in, is_there, status_of, to_json
from tuning.reports.tables import Column, say, shown, table
from tuning.reports.time_left import span
from tuning.spec import SearchSpec

COLOURS = {"running": "cyan", "interrupted": "yellow", "ended": "green", "unreadable": "red"}
COUNTS = ("finished", "pruned", "failed", "out of memory", "open")
DEFAULT = SearchSpec.model_fields["output_dir"].default


def main(argv: Sequence[str], console: Console) -> None:
    """Show the status of one search or of all in a folder. UserError for a name or a folder that is not there."""
    given = parser().parse(argv)
    root = Path(given.get("output_dir", DEFAULT))
    if not root.is_dir():
        what = f"--output-dir {root}" if "output_dir" in given else root
        raise UserError(f"{what}: no such folder, expected one that holds the folders of searches")
    if "name" not in given:
        found = list(all_in(root))
        if "json" in given:
            print(json.dumps([to_json(each) for each in found], indent=1))
        else:
            show_all(found, root, console)
        return
    folder = root / given["name"]
    if not is_there(folder):
        known = [path.name for path in root.iterdir() if is_there(path)]
        raise UserError(f"status {given['name']}: no such search in {root}{did_you_mean(folder.name, known)}")
    status = status_of(folder, str(root))
    if status.fault:
        raise UserError(status.fault)
    if "json" in given:
        print(json.dumps(to_json(status), indent=1))
    else:
        show(status, console)


def parser() -> Parser:
    """Return the parser of the command's arguments."""
    text = COMMANDS["status"]
    made = Parser("status", f"Show {text}. Reads folders alone: they may be copies from another machine.")
    made.add_argument("name", metavar="NAME", nargs="?", help="of a search, an experiment or an overview (all of them)")
    made.add_argument("--output-dir", metavar="DIR", help=f"folder that holds the folders of searches ({DEFAULT})")
    made.add_argument("--json", action="store_true", help="print JSON: seconds, counts, validation values")
    return made


def show_all(found: Sequence[Status], root: Path, console: Console) -> None:
    """Print a line for each search or experiment."""
    if not found:
        say(console, f"no searches in {root}")
        return
    console.print(_table(found))
    for each in found:
        if each.fault:
            say(console, f"{each.name}: {each.fault}")


def show(status: Status, console: Console) -> None:
    """Print the status of one search or experiment: what it is, its trials, its budget, what to do next."""
    say(console, f"{status.kind} {status.name}: {', '.join(filter(None, (status.what, _state(status))))}")
    console.print(_table(list(_with_members(status.members)) if status.members else [status]))
    for member in _with_members(status.members):
        if member.fault:
            say(console, f"{member.name}: {member.fault}")
    facts = {
        "began": status.began,
        "last written": status.written,
        "time in trials": span(status.seconds) if status.seconds else None,
        "budget": ", ".join(f"{shown(used)} of {shown(total)} {unit}" for unit, (used, total) in status.budget.items()),
        "time left": status.left or ("not known yet" if status.state == "running" else None),
        "next": status.next,
    }
    for name, value in facts.items():
        if value:
            say(console, f"{name}: {value}")


def _with_members(members: Iterable[Status]) -> Iterable[Status]:
    for each in members:
        yield each
        yield from _with_members(each.members)


def _table(rows: Sequence[Status]) -> Table:
    """Return a row for each; columns in which nothing stands are left out."""
    columns = [
        Column[Status]("name", lambda row: row.name, justify="left"),
        Column("state", lambda row: row.state, justify="left"),
        Column("trials", lambda row: f"{row.ended}/{row.planned}" if row.planned else None),
        *(Column(name, partial(_count, name=name)) for name in COUNTS),
        Column("best", lambda row: row.best),
        Column("metric", lambda row: row.metric if row.best is not None else None, justify="left"),
        Column("trial", lambda row: row.best_trial),
        Column("in trials", lambda row: span(row.seconds) if row.seconds else None),
        Column("time left", lambda row: row.left),
    ]
    used = [column for column in columns if any(column.of(row) is not None for row in rows)]
    return table(used, rows, style=lambda row: COLOURS.get(row.state))


def _count(row: Status, name: str) -> int | None:
    return row.counts.get(name) or None


def _state(status: Status) -> str:
    if status.state == "running":
        process = f" in process {status.process}" if status.process else ""
        return f"running{process}" + (f" on {status.host}" if status.host else "")
    return status.state
