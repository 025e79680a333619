"""A search's options on a command line, and what comes of them."""

from pathlib import Path
from typing import Any

import pytest

import run_search
from tuning.spec import SearchSpec
from tuning.yaml_document import parse_yaml

NEW = ("--model", "LightGCN", "--dataset", "demo")
BARE = ("--tune-base", "0", "--confirm-top", "0")
"""A search alone, without a reference and without a confirmation."""


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that bad input gets."""
    before = sorted(Path().rglob("*"))
    assert run_search.main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert sorted(Path().rglob("*")) == before
    assert line.startswith("run_search.py: ")
    return line.removeprefix("run_search.py: ")


def resolved(capsys: Any, *arguments: str) -> tuple[SearchSpec, set[str]]:
    """The search alone that the arguments come to, and what it searches."""
    assert run_search.main([*arguments, *BARE, "--dataset", "demo", "--dry-run"]) == 0
    spec = SearchSpec.model_validate(parse_yaml(capsys.readouterr().out.partition("section ")[0], "text").data)
    return spec, set(spec.space.dimensions)
