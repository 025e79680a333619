"""A cluster of several raylets on this machine, none of which may see the folder of the search."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

SITE = '''
"""Runs first in every Python of the cluster's nodes. Workers save each epoch, tell which one they train, wait in epoch
HELD while their node is held, and have no access to FORBIDDEN, except on the node `head`, which is the driver's. None
finds the project where the driver has it."""
import os, sys, time

NODE, BASE, FORBIDDEN, PROJECT = (os.environ.get(each, "") for each in ("NODE", "BASE", "FORBIDDEN", "PROJECT"))


def tell(text):
    file = os.open(f"{BASE}/log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{NODE} {text}\\n".encode())
    os.close(file)


def slow(trial):
    record = trial._Run._record

    def slowly(run, epoch):
        tell(f"trained {run.plan.trial} {epoch.epoch} {trial.__file__}")
        time.sleep(0.05)
        while epoch.epoch == HELD and os.path.exists(f"{BASE}/held-{NODE}"):
            time.sleep(0.05)
        return record(run, epoch)

    finish = trial._Run.finish

    def finished(run, *given, **how):
        finish(run, *given, **how)
        tell(f"ended {run.plan.trial}")

    trial._Run.finish = finished
    trial._Run._record, trial.CHECKPOINT_SECONDS, trial.SAVING_SHARE = slowly, -1.0, float("inf")


def watch(event, arguments):
    trial = sys.modules.get("tuning.execution.trial")
    if hasattr(trial, "_Run") and trial.CHECKPOINT_SECONDS == 5.0:
        slow(trial)
    if event == "os.listdir" and arguments[0] == PROJECT:
        raise PermissionError(PROJECT)
    if NODE != "head" and any(isinstance(each, str) and each.startswith(FORBIDDEN) for each in arguments):
        tell(f"opened {event} {arguments}")
        raise PermissionError(f"{arguments}: forbidden")


if NODE:
    sys.addaudithook(watch)
'''
HELD = 6
"""The epoch in which trials wait on a node that is held."""


class RealCluster:
    """Nodes with folders of their own below `base`; see `nodes_of_a_cluster`. `log`: what their workers tell."""

    def __init__(self, base: Path, forbidden: Path, environment: Mapping[str, str]):
        self.base, self.log = base, base / "log"
        for folder in ("site", "ray"):
            (base / folder).mkdir(parents=True)
        (base / "site" / "sitecustomize.py").write_text(SITE.replace("HELD", str(HELD)))
        self.environment = {name: text for name, text in os.environ.items() if not name.startswith("RAY_")}
        self.environment |= environment | {
            "RAY_AUTH_MODE": "disabled",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # on loopback alone
            "RAY_TMPDIR": str(base),
            "RAY_gcs_rpc_server_reconnect_timeout_s": "5",  # a minute
            "RAY_worker_niceness": "0",  # else they wait for all else on a busy machine
        }
        self._short = tempfile.TemporaryDirectory(dir="/tmp", prefix="c")  # sockets have short names
        repository = Path(__file__).parents[4]
        site = {"PYTHONPATH": str(base / "site"), "FORBIDDEN": str(forbidden), "BASE": str(base)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.tuning.execution.ray_tune.nodes_of_a_cluster", self._short.name],
            cwd=repository,
            env=self.environment | site | {"PROJECT": str(repository)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(base / "errors").open("w"),
            text=True,
            start_new_session=True,
        )
        self.address = ""

    def start(self, name: str, cpus: int = 1) -> None:
        """Start a node; the first one is the head and gives the cluster its address."""
        answer = self._ask(f"start {name} {cpus}")
        self.address = self.address or answer

    def kill(self, name: str) -> None:
        """Kill all processes of a node, with SIGKILL."""
        self._ask(f"kill {name}")

    def hold(self, *names: str) -> None:
        """Let the trials of nodes wait in the epoch HELD."""
        for name in names:
            (self.base / f"held-{name}").touch()

    def let_go(self, *names: str) -> None:
        """Let the trials of nodes go on."""
        for name in names:
            (self.base / f"held-{name}").unlink()

    def told(self, what: str) -> list[list[str]]:
        """Return the words of the lines `NODE what ...` of the log, in order, without `what`."""
        lines = [line.split() for line in self.log.read_text().splitlines()] if self.log.exists() else []
        return [[node, *rest] for node, said, *rest in lines if said == what]

    def end(self) -> None:
        """End what is left of it."""
        below = psutil.Process(self._process.pid).children(recursive=True) if self._process.poll() is None else []
        for each in (self._process, *below):
            with suppress(psutil.NoSuchProcess, ProcessLookupError):
                each.send_signal(signal.SIGKILL)
        self._process.wait()
        self._short.cleanup()

    def _ask(self, line: str) -> str:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        assert answer, f"{line}: no answer"
        return answer


@contextmanager
def real_cluster(base: Path, forbidden: Path, **environment: str) -> Iterator[RealCluster]:
    """Yield a cluster without a node, whose nodes may not open `forbidden`; the head may, where the driver is."""
    cluster = RealCluster(base, forbidden, environment)
    try:
        yield cluster
    finally:
        cluster.end()
