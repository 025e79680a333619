"""The files of `deploy/`: each is what its tool reads, as far as that can be known without a cloud or a cluster.

The cluster's file is checked by Ray's own validator. KubeRay's definition of a RayJob is in no Python package: its
fields are listed here, and the list was not checked against the definition. Slurm's script runs with programs that
pretend Slurm and Ray.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import psutil
import pytest
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.scripts.scripts import start as ray_start
from ruamel.yaml import YAML

import run_search
from tests.test_docs import PINNED

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
BIN = Path(sys.executable).parent


def loaded(name: str) -> Any:
    return YAML(typ="safe").load(DEPLOY / name)


def parses(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The command line takes every option."""
    assert run_search.main([*words, "--no-such-option"]) == 2
    assert capsys.readouterr().err.startswith("run_search.py: --no-such-option: no such option")


# ray up


def test_ray_takes_the_file_of_the_cluster() -> None:
    made = prepare_config(loaded("ray-up.yaml"))
    validate_config(made)
    assert made["available_node_types"]["card"]["max_workers"] == made["max_workers"]


@pytest.mark.parametrize(
    "change", [{"max_wrokers": 3}, {"head_node_type": "none"}, {"idle_timeout_minutes": "soon"}, {"provider": {}}]
)
def test_ray_refuses_a_file_with_a_fault(change: dict[str, Any]) -> None:
    with pytest.raises((ValueError, KeyError, jsonschema.ValidationError)):
        validate_config(prepare_config(loaded("ray-up.yaml") | change))


def test_a_cluster_starts_with_a_head_that_runs_no_trial_and_is_closed_to_others() -> None:
    made = loaded("ray-up.yaml")
    assert made["available_node_types"][made["head_node_type"]]["resources"] == {"CPU": 0}
    (start,) = [each for each in made["head_start_ray_commands"] if each.startswith("ray start")]
    assert "--dashboard-host=127.0.0.1" in start
    assert "--autoscaling-config=~/ray_bootstrap_config.yaml" in start


# KubeRay


def an_object(required: tuple[str, ...], **fields: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": list(required), "properties": fields}


def every(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "items": item}


TEXT, WHOLE, FLAG = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": "boolean"}
TEXTS = {"type": "object", "additionalProperties": TEXT}
AMOUNTS = an_object((), requests=TEXTS, limits=TEXTS)
CONTAINER = an_object(
    ("name", "image"),
    name=TEXT,
    image=TEXT,
    resources=AMOUNTS,
    ports=every(an_object(("containerPort",), name=TEXT, containerPort=WHOLE)),
    volumeMounts=every(an_object(("name", "mountPath"), name=TEXT, mountPath=TEXT)),
)
POD = an_object(
    ("spec",),
    spec=an_object(
        ("containers",),
        securityContext=an_object((), fsGroup=WHOLE),
        containers=every(CONTAINER),
        volumes=every(an_object(("name",), name=TEXT, persistentVolumeClaim=an_object(("claimName",), claimName=TEXT))),
    ),
)
CLUSTER = an_object(
    ("headGroupSpec",),
    rayVersion=TEXT,
    enableInTreeAutoscaling=FLAG,
    autoscalerOptions=an_object((), idleTimeoutSeconds=WHOLE),
    headGroupSpec=an_object(("template",), rayStartParams=TEXTS, template=POD),
    workerGroupSpecs=every(
        an_object(
            ("groupName", "template"),
            groupName=TEXT,
            replicas=WHOLE,
            minReplicas=WHOLE,
            maxReplicas=WHOLE,
            rayStartParams=TEXTS,
            template=POD,
        )
    ),
)
RAYJOB = an_object(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayJob"},
    metadata=an_object(("name",), name={"type": "string", "pattern": "^[a-z]([a-z0-9-]{0,45}[a-z0-9])?$"}),
    spec=an_object(
        ("entrypoint", "rayClusterSpec"),
        entrypoint=TEXT,
        submissionMode={"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]},
        backoffLimit=WHOLE,
        shutdownAfterJobFinishes=FLAG,
        ttlSecondsAfterFinished=WHOLE,
        rayClusterSpec=CLUSTER,
    ),
)
"""The fields of KubeRay's RayJob, and of Kubernetes' pods, that the file uses, and which of them must be there."""


def test_a_rayjob_has_the_fields_of_kuberay() -> None:
    jsonschema.validate(loaded("kuberay-rayjob.yaml"), RAYJOB)


def test_a_rayjob_fits_together() -> None:
    cluster = loaded("kuberay-rayjob.yaml")["spec"]["rayClusterSpec"]
    assert cluster["rayVersion"] == PINNED["ray"]
    head, (workers,) = cluster["headGroupSpec"], cluster["workerGroupSpecs"]
    assert head["rayStartParams"]["num-cpus"] == "0", "the head runs no trial"
    assert workers["minReplicas"] <= workers["replicas"] <= workers["maxReplicas"]
    pods = [each["template"]["spec"] for each in (head, workers)]
    assert len({container["image"] for pod in pods for container in pod["containers"]}) == 1
    for pod in pods:
        mounted = {mount["name"] for container in pod["containers"] for mount in container.get("volumeMounts", [])}
        assert mounted == {volume["name"] for volume in pod.get("volumes", [])}


def test_a_rayjob_begins_a_search_and_goes_on_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    shell, flag, script = shlex.split(loaded("kuberay-rayjob.yaml")["spec"]["entrypoint"])
    assert (shell, flag) == ("sh", "-c")
    subprocess.run([shell, "-n"], input=script, text=True, check=True)
    resumes, begins = re.findall(r"exec python run_search\.py ([^;]+);", script)
    for command in (resumes, begins):
        parses(shlex.split(command), capsys)
    name, place = re.search(r"--name (\S+) --output-dir (\S+)", begins).groups()  # type: ignore[union-attr]
    assert f"[ -e {place}/{name} ]" in script
    assert resumes == f"resume {name} --output-dir {place}"


# Docker


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(line.split()[0], " ".join(line.split()[1:])) for line in lines]


def test_an_image_is_built_by_the_readme_s_commands() -> None:
    found = instructions()
    assert found[0] == ("FROM", "python:3.11-slim")
    assert ("CMD", '["make", "demo"]') in found
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for name, rest in found:
        assert name in {"FROM", "RUN", "USER", "WORKDIR", "ENV", "COPY", "CMD"}
        if name == "RUN":
            subprocess.run(["sh", "-n"], input=rest, text=True, check=True)
            assert set(re.findall(r"(?:^|&& )make (\w+)", rest)) <= targets
    (install,) = [rest for name, rest in found if "make install" in rest]
    assert f"ray[default]=={PINNED['ray']}" in install
    assert (DEPLOY / "Dockerfile.dockerignore").exists()


def test_an_image_has_no_files_that_a_search_leaves() -> None:
    left_out = {line.strip("/") for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()}
    ignored = [line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines() if not line.startswith("#")]
    missing = {name for name in ignored if name and name not in left_out and f"**/{name}" not in left_out}
    assert not missing


@pytest.mark.skipif(not (BIN / "hadolint").exists(), reason="hadolint is not installed")
def test_a_linter_finds_no_fault_in_the_dockerfile() -> None:
    subprocess.run([BIN / "hadolint", DEPLOY / "Dockerfile"], check=True)


# Slurm

SLURM = DEPLOY / "slurm.sh"


def test_slurm_s_options_stand_before_the_first_command() -> None:
    lines = SLURM.read_text().splitlines()
    first_command = next(number for number, line in enumerate(lines) if line and not line.startswith("#"))
    options = {number: line for number, line in enumerate(lines) if line.startswith("#SBATCH")}
    assert max(options) < first_command, "sbatch reads no further"
    given = dict(re.fullmatch(r"#SBATCH --([a-z-]+)=(\S+)", line).groups() for line in options.values())  # type: ignore[union-attr]
    assert given.keys() == {"job-name", "nodes", "ntasks-per-node", "cpus-per-task", "gpus-per-node", "time", "signal"}
    assert given["ntasks-per-node"] == "1", "one Ray on each node"
    assert re.fullmatch(r"B:TERM@\d+", given["signal"]), "the script alone is told, and tells the search"


def test_bash_reads_slurm_s_script(capsys: pytest.CaptureFixture[str]) -> None:
    subprocess.run(["bash", "-n", SLURM], check=True)
    (example,) = re.findall(r"^#   sbatch deploy/slurm.sh (.+)$", SLURM.read_text(), re.MULTILINE)
    parses(shlex.split(example), capsys)


@pytest.mark.skipif(not (BIN / "shellcheck").exists(), reason="shellcheck is not installed")
def test_a_linter_finds_no_fault_in_slurm_s_script() -> None:
    subprocess.run([BIN / "shellcheck", SLURM], check=True)


PRETENDED = {
    "ray": 'echo "ray $*" >> log; case "$*" in *--block*) echo $$ >> pids; exec sleep 900 ;; esac',
    "srun": 'echo "srun $* $RAY_ADDRESS ${#RAY_AUTH_TOKEN}" >> log',
    ".venv/bin/python": """case "$1" in
        -c) exec "$REAL" "$@" ;;
        *) echo "python $*" >> log; exec "$REAL" search.py ;;
    esac""",
}
SEARCH = """
import pathlib, signal, sys, time
def stop(*_):
    print("interrupted", file=open("log", "a"))
    sys.exit(130)
if not pathlib.Path("runs").exists():
    sys.exit(7)
signal.signal(signal.SIGTERM, stop)
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, "it could not be interrupted"
pathlib.Path("running").touch()
time.sleep(900)
"""


def running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """A folder, and the environment of a job of two nodes there whose programs write down how they were called."""
    (tmp_path / ".venv/bin").mkdir(parents=True)
    for name, script in PRETENDED.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{script}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "search.py").write_text(SEARCH)
    job = {"SLURM_JOB_ID": "41", "SLURM_JOB_NAME": "job", "SLURM_CPUS_PER_TASK": "16", "SLURM_JOB_NUM_NODES": "2"}
    own = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "REAL": sys.executable, "NODE_IP": "10.0.0.5"}
    yield tmp_path, {**os.environ, **job, **own, "RAY_TMPDIR": str(tmp_path / "ray-files")}
    end = time.monotonic() + 900
    for pid in map(int, (tmp_path / "pids").read_text().split()):
        while running(pid):
            assert time.monotonic() < end, "Ray outlives the job"
            time.sleep(0.02)


def submitted(folder: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["bash", SLURM, "--model", "GRCN", "--dataset", "demo"], cwd=folder, env=environment)


def test_slurm_s_script_starts_ray_on_every_node_and_the_search_on_the_first(
    cluster: tuple[Path, dict[str, str]],
) -> None:
    folder, environment = cluster
    assert submitted(folder, environment).wait(900) == 7, "the exit code is the search's"
    head, status, _, *rest = (folder / "log").read_text().splitlines()
    assert head == (
        "ray start --head --node-ip-address 10.0.0.5 --port 20041 --include-dashboard false --num-cpus 16 --block"
    )
    assert status == "ray status --address 10.0.0.5:20041"
    search, workers = sorted(rest)
    assert search == "python run_search.py --name job --model GRCN --dataset demo"
    assert workers.startswith("srun --nodes 1 --ntasks 1 --exclude ")
    assert workers.endswith("--num-cpus 16 --block 10.0.0.5:20041 64")
    options = [word for line in (head, workers) for word in re.findall(r"--[a-z-]+", line.partition("ray start")[2])]
    assert set(options) <= {option for each in ray_start.params for option in each.opts}


def test_before_its_time_is_over_a_job_interrupts_the_search_and_the_next_one_goes_on(
    cluster: tuple[Path, dict[str, str]],
) -> None:
    folder, environment = cluster
    (folder / "runs").touch()
    (folder / "searches/mine").mkdir(parents=True)
    job = submitted(folder, {**environment, "NAME": "mine"})
    end = time.monotonic() + 900
    while not (folder / "running").exists() and job.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    job.send_signal(signal.SIGTERM)
    assert job.wait(900) == 130
    lines = (folder / "log").read_text().splitlines()
    assert "python run_search.py resume mine" in lines
    assert "interrupted" in lines
