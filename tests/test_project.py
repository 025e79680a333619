"""The workflow, the hooks and the packages keep what pyproject.toml, constraints.txt and the Makefile say."""

import re
import tomllib
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PINNED = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
MAKEFILE = (ROOT / "Makefile").read_text()


def test_the_workflow_tests_what_the_project_promises() -> None:
    """The matrix has the versions of the classifiers; the jobs run the README's commands and exist elsewhere."""
    jobs = YAML(typ="safe").load(ROOT / ".github/workflows/test.yml")["jobs"]
    classifiers = PROJECT["project"]["classifiers"]
    prefix = "Programming Language :: Python :: 3."
    promised = [f"3.{name.removeprefix(prefix)}" for name in classifiers if name.startswith(prefix)]
    assert jobs["readme"]["strategy"]["matrix"]["python"] == promised
    assert PROJECT["project"]["requires-python"] == f">={promised[0]}"
    targets = set(re.findall(r"^(\w+):", MAKEFILE, re.MULTILINE))
    runs = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert {"make demo", "make test"} <= set(runs)
    for command in runs:
        if command.startswith("make "):
            assert {word for word in command.split()[1:] if "=" not in word} <= targets


def test_the_hooks_are_the_tools_of_make_test() -> None:
    (repository,) = YAML(typ="safe").load(ROOT / ".pre-commit-config.yaml")["repos"]
    makefile = MAKEFILE.replace("$(BIN)", ".venv/bin")
    for hook in repository["hooks"]:
        assert hook["entry"].removesuffix(" --force-exclude").removesuffix(" check") in makefile


def test_every_dependency_has_an_exact_version() -> None:
    project = PROJECT["project"]
    extras = [each for extra in project["optional-dependencies"].values() for each in extra]
    named = {re.match(r"[\w.-]+", each)[0].lower() for each in (*project["dependencies"], *extras)}
    assert named <= {name.lower() for name in PINNED}


def test_the_packages_are_typed() -> None:
    for package in ("recmodels", "tuning"):
        assert (ROOT / package / "py.typed").is_file()
        assert "py.typed" in PROJECT["tool"]["setuptools"]["package-data"][package]
