"""Training and ranking of this tree beside an older commit's, both in turn, in CPU seconds of one thread.

Two processes hold the model, one of either tree, and take an epoch and a ranking in turn while the other waits: both
see the same load of the machine. On tiktok the reference toolbox's ratio follows from what was measured at one commit.
A model that is newer than the commit is measured beside the commit's YARDSTICK, which scales the reference's seconds.
"""

import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any, TypedDict, cast

from recmodels.errors import UserError
from tests.benchmarks.bounds import MEASURED, NEWER, scaled_reference
from tests.benchmarks.measure import Job
from tests.benchmarks.table import MEANS, number

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("turn.py")
COLUMNS = ("train s", "rank s", "epoch s", "train x", "rank x", "epoch x")
REFERENCE_COLUMNS = ("reference train x", "reference epoch x")
BOUND_COLUMNS = ("step ms", "bound ms", "step/bound")


class Turn(TypedDict):
    """What `turn.py` says of a turn, in CPU seconds."""

    fixed: float
    batches: float
    ranks: list[float]


@dataclass(frozen=True)
class Costs:
    """Medians in CPU seconds of one thread: an epoch's training, one ranking of all users, one step."""

    train: float
    rank: float
    step: float

    @property
    def epoch(self) -> float:
        """Training and one ranking."""
        return self.train + self.rank


@dataclass(frozen=True)
class Compared:
    """One model in this tree, `now`, and at the commit, `then`; or YARDSTICK at the commit, for a model in NEWER beside
    COMMIT. `turns`: each turn of both, unrounded, to keep."""

    model: str
    now: Costs
    then: Costs
    turns: dict[str, list[Turn]]

    def ratios(self, reference: bool) -> list[float | None]:
        """How many times faster than then: training, ranking, epoch; `reference`: than the reference, too. None is what
        was not measured."""
        now, then = self.now, self.then
        if reference and self.model in NEWER:
            return [None, None, None, scaled_reference(self.model, then.train) / now.train, None]
        own = [then.train / now.train, then.rank / now.rank, then.epoch / now.epoch]
        known = MEASURED.get(self.model) if reference else None
        return own if known is None else [*own, own[0] * known.train_ratio, own[2] * known.epoch_ratio]


@contextmanager
def tree_of(commit: str) -> Iterator[Path]:
    """The package `recmodels` as it was at a commit, in a temporary folder. UserError if git does not know it."""
    with tempfile.TemporaryDirectory(prefix="against-") as name:
        command = ["git", "-C", str(ROOT), "archive", "--format=tar", commit, "recmodels"]
        try:
            packed = subprocess.run(command, capture_output=True, check=True).stdout
        except FileNotFoundError:
            raise UserError("--against: expected git on the path") from None
        except subprocess.CalledProcessError as error:
            reason = error.stderr.decode(errors="replace").strip().partition("\n")[0]
            raise UserError(
                f"--against {commit}: expected a commit of this repository, but git says: {reason}"
            ) from None
        folder = Path(name).resolve()
        with tarfile.open(fileobj=BytesIO(packed)) as files:
            files.extractall(folder, filter="data")
        yield folder


def revision(commit: str) -> str:
    """The full hash of a commit that `tree_of` has found."""
    command = ["git", "-C", str(ROOT), "rev-parse", f"{commit}^{{commit}}"]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()


@contextmanager
def turns(job: Job, tree: Path, cache: Path) -> Iterator["Turns"]:
    """A process that trains the model with the code of a tree, stopped at the end."""
    given: dict[str, Any] = {
        "tree": str(tree),
        "cache": str(cache),
        "model": job.model,
        "dataset": job.dataset,
        "steps": job.steps,
    }
    given |= {"data_dir": str(job.data_dir.resolve()) if job.data_dir else None}
    given |= {"train": job.base["train"], "params": job.base["model"]}
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            [sys.executable, "-P", str(PROGRAM), json.dumps(given)],
            cwd=tree,
            env={**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        try:
            yield Turns(process, errors)
        finally:
            process.kill()


class Turns:
    """What a process of `turn.py` says, line by line."""

    def __init__(self, process: "subprocess.Popen[str]", errors: IO[str]):
        self.process, self.errors = process, errors

    def read(self) -> dict[str, Any]:
        """The next line. RuntimeError, one line, if the process has ended instead."""
        assert self.process.stdout is not None
        if line := self.process.stdout.readline():
            return json.loads(line)
        code = self.process.wait()
        self.errors.seek(0)
        said = self.errors.read().strip()
        raise RuntimeError(said.splitlines()[-1] if said else f"its process ended with {code}")

    def turn(self) -> "Turn":
        """Have it train an epoch and rank; its CPU seconds."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return cast(Turn, self.read())


def compare(job: Job, job_then: Job, then: Path, cache: Path) -> Compared | None:
    """Measure a model in both trees in turn, at the commit that of `job_then`; None for one that has nothing to train.
    RuntimeError, one line that names the tree, if either of them fails."""
    with ExitStack() as stack:
        # Both start at once, on two cores; only the turns are measured.
        sides = {
            "now": stack.enter_context(turns(job, ROOT, cache / "now")),
            "then": stack.enter_context(turns(job_then, then, cache / "then")),
        }
        try:
            sizes = {(side := name): each.read() for name, each in sides.items()}
            if not sizes["now"]["steps"]:
                return None
            taken: dict[str, list[Turn]] = {name: [] for name in sides}
            for _ in range(job.epochs + 1):
                for side, each in sides.items():
                    taken[side].append(each.turn())
        except (RuntimeError, BrokenPipeError) as error:
            raise RuntimeError(f"{side}: {error}") from None
    kept = {name: rows[1:] for name, rows in taken.items()}  # the first warms up
    return Compared(job.model, costs(kept["now"], **sizes["now"]), costs(kept["then"], **sizes["then"]), kept)


def costs(rows: list[Turn], n_batches: int, steps: int) -> Costs:
    """Medians of the turns; an epoch of `n_batches` is projected from `steps`."""
    train = statistics.median(row["fixed"] + row["batches"] * n_batches / steps for row in rows)
    step = statistics.median(row["batches"] / steps for row in rows)
    return Costs(train, statistics.median(rank for row in rows for rank in row["ranks"]), step)


@dataclass(frozen=True)
class Layout:
    """What a row shows. `bounded`: whether the bounds of a step hold here; `reference`: whether the reference's ratio
    follows from the commit's."""

    bounded: bool
    reference: bool

    @property
    def columns(self) -> tuple[str, ...]:
        """The header."""
        reference, bounds = REFERENCE_COLUMNS * self.reference, BOUND_COLUMNS * self.bounded
        return ("model", *COLUMNS, *reference, *bounds)

    def cells(self, found: Compared) -> list[str]:
        """A model's row."""
        row = [found.model, *map(number, (found.now.train, found.now.rank, found.now.epoch))]
        row += [_ratio(ratio) for ratio in found.ratios(self.reference)]
        if self.bounded and (known := MEASURED.get(found.model)):
            step = 1e3 * found.now.step
            row += [number(step), number(known.bound_ms), f"{step / known.bound_ms:.2f}"]
        return row

    def means(self, rows: list[Compared]) -> list[str]:
        """The last row: geometric means of the ratios."""
        columns = zip(*(found.ratios(self.reference) for found in rows), strict=False)
        known = [[ratio for ratio in column if ratio is not None] for column in columns]
        return [MEANS, "", "", "", *(_ratio(statistics.geometric_mean(each) if each else None) for each in known)]


def _ratio(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"
