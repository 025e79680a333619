"""What the nodes of a cluster must have in common with the driver's machine: versions, and a storage of checkpoints."""

import hashlib
import importlib.util
import json
import os
import platform
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError, RayTaskError, RuntimeEnvSetupError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from recmodels.errors import UserError
from tuning.execution.place_fault import PlaceFault
from tuning.execution.storage import Storage, readable, remove

PACKAGES = ("recmodels", "search_spaces", "tuning")
"""What workers need of this project; they get the driver's."""
CHECKED = ("ray", "torch")
JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Ray's variable for what `ray job submit` runs."""
PATIENCE = 300.0
"""Seconds for the nodes' answers; a worker that starts on a busy node takes a while."""


@dataclass(frozen=True)
class Versions:
    """The versions of a machine on which the numbers of a trial depend; of packages without what follows a +, such as
    cpu or cu130. `project`: digest of this project's code."""

    python: str
    packages: Mapping[str, str]
    project: str

    @classmethod
    @cache
    def here(cls) -> "Versions":
        """Return those of this machine."""
        return cls(platform.python_version(), {name: _version(name) for name in CHECKED}, _project_digest())

    def check(self) -> None:
        """Raise PlaceFault, one line, if this node has others than these, the driver's."""
        here = Versions.here()
        differing = {
            name: (found, expected)
            for name, found, expected in (
                ("Python", here.python, self.python),
                *((name, here.packages[name], self.packages[name]) for name in CHECKED),
            )
            if found != expected
        }
        if differing:
            told = ", ".join(f"{name} {found}, expected {expected}" for name, (found, expected) in differing.items())
            raise PlaceFault(f"{this_node()}: {told} as on the driver's machine")
        if here.project != self.project:  # a folder of the same path as the driver's goes first
            place = Path(_folder("tuning")).parent
            raise PlaceFault(f"{this_node()}: other code of this project in {place}, expected the driver's, or none")


def this_node() -> str:
    """Return `node 10.0.0.7 (worker-3)`."""
    return f"node {ray.util.get_node_ip_address()} ({socket.gethostname()})"


def runtime_env() -> dict[str, Any]:
    """Return Ray's runtime environment, in which workers have this project; {} where a submitted job brings its own.

    Other packages are those of the nodes: they are checked, not installed.
    """
    given = json.loads(os.environ.get(JOB) or "{}").get("runtime_env") or {}
    if "py_modules" in given:
        return {}
    return {"py_modules": [_folder(name) for name in PACKAGES]}


def check_nodes(versions: Versions, storage: Storage | None) -> None:
    """Ask every node whether trials can run there. UserError, one line, for the first one where they cannot.

    Nodes that join later are checked by their first trial.
    """
    probe = storage.check() if storage else None
    try:
        answers = {
            f"node {node['NodeManagerAddress']} ({node['NodeManagerHostname']})": ray.remote(check_this_node)
            .options(num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False))
            .remote(versions, storage, probe)
            for node in ray.nodes()
            if node["Alive"]
        }
        for name, answer in answers.items():
            _hear(name, answer)
    finally:
        if probe:
            remove(probe)


def _hear(name: str, answer: ray.ObjectRef) -> None:
    try:
        ray.get(answer, timeout=PATIENCE)
    except GetTimeoutError:
        raise UserError(f"{name}: it has started no worker within {PATIENCE:.0f} s") from None
    except RayTaskError as error:
        if isinstance(error.cause, PlaceFault):
            raise UserError(str(error.cause)) from None
        raise UserError(f"{name}: {str(error).strip().splitlines()[-1]}") from None
    except RuntimeEnvSetupError as error:
        raise UserError(f"{name}: it cannot make the runtime environment: {' '.join(str(error).split())}") from None
    except RayError:  # the node has gone meanwhile, and trials go elsewhere
        pass


def check_this_node(versions: Versions, storage: Storage | None, probe: str | None) -> None:
    """Raise PlaceFault, one line, unless trials can run on this node. `probe`: what the driver has put in storage."""
    versions.check()
    if storage and probe:
        try:
            readable(probe)
            remove(storage.check())
        except PlaceFault as error:
            raise PlaceFault(f"{this_node()}: {error}") from None


def _version(package: str) -> str:
    try:
        return version(package).partition("+")[0]
    except PackageNotFoundError:
        return "none"


def _project_digest() -> str:
    digest = hashlib.sha256()
    for package in PACKAGES:
        folder = Path(_folder(package))
        for path in sorted(folder.rglob("*.py")):
            digest.update(f"|{package}/{path.relative_to(folder).as_posix()}|".encode() + path.read_bytes())
    return digest.hexdigest()


def _folder(package: str) -> str:
    found = importlib.util.find_spec(package)
    assert found is not None
    assert found.submodule_search_locations
    return str(Path(found.submodule_search_locations[0]).resolve())
