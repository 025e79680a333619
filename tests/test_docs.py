"""The documents: every command runs or is parsed, every example runs, every file, name and link exists."""

import contextlib
import doctest
import importlib
import io
import logging
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import run_search
from recmodels.models import MODELS
from recmodels.training.strategies import STRATEGIES
from tests.tuning.factories import made_spec
from tuning.cli.analyze import KINDS
from tuning.cli.commands import COMMANDS
from tuning.commandlines import next_steps, serve_command
from tuning.records import SearchFolder
from tuning.spec import Tracking

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PINNED = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
UNPINNED = {"optuna-dashboard", "pre-commit", "tensorboard"}
"""Packages that are installed without an exact version, since nothing is computed with them."""


class Block(NamedTuple):
    """A fenced block of a document. `line`: number of its first line of content."""

    document: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def text_of(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def blocks_of(document: str) -> Iterator[Block]:
    text = text_of(document)
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield Block(document, text.count("\n", 0, match.start(2)) + 1, match[1], match[2])


def prose_of(document: str) -> str:
    """The document without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", text_of(document), flags=re.MULTILINE | re.DOTALL)


BLOCKS = [block for document in DOCUMENTS for block in blocks_of(document)]
SPANS = [(document, span) for document in DOCUMENTS for span in re.findall(r"`([^`\n]+)`", prose_of(document))]


def commands_in(text: str) -> list[list[str]]:
    """The commands of a shell block or line, as words."""
    joined = text.replace("\\\n", " ")
    lines = [shlex.split(line, comments=True) for line in joined.splitlines()]
    found: list[list[str]] = []
    for words in lines:
        found.append([])
        for word in words:
            if word == "&&":
                found.append([])
            else:
                found[-1].append(word)
    return [words for words in found if words]


LINES = [(str(block), words) for block in BLOCKS if block.language == "sh" for words in commands_in(block.text)]
LINES += [
    (document, shlex.split(span))
    for document, span in SPANS
    if span.startswith(("python ", "make ", "pip ", "mlflow ", "prepare "))
]
LINES = [(where, ["python", "run_search.py", *words] if words[0] == "prepare" else words) for where, words in LINES]
SEARCHES = [
    words[2:] for _, words in LINES if words[:3] == ["python", "run_search.py", "--model"] and "--download" not in words
]


def parses_search(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The command line's own parser takes everything but an option that is added behind."""
    if words[-1] == "--help":
        assert words[:-1] in ([], *([name] for name in COMMANDS))
        return
    assert run_search.main([*words, "--no-such-option"]) == 2
    assert capsys.readouterr().err.startswith("run_search.py: --no-such-option: no such option")


def parses_benchmark(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """All options exist, so that the program asks for a data set that is not here."""
    package = ROOT.joinpath(*words[0].split(".")).is_dir()
    module = importlib.import_module(f"{words[0]}.__main__" if package else words[0])
    assert module.main([*words[1:], "--threads", "0"]) == 2
    assert "--threads: expected at least 1" in capsys.readouterr().err


def is_python_module(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    if words[0].startswith("tests.benchmarks."):
        return parses_benchmark(words, capsys)
    if words[0] == "venv":
        return None
    assert words[0] == "pytest"
    return exist([word for word in words if "/" in word])


def exist(paths: list[str]) -> None:
    for path in paths:
        assert (ROOT / path).exists(), path


def is_make_target(words: list[str], _: object) -> None:
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(words) <= set(targets)


def installs(words: list[str], capsys: object) -> None:
    """Exact versions are those of constraints.txt, extras those of pyproject.toml."""
    assert words.pop(0) == "install"
    while words:
        word = words.pop(0)
        if word == "-c":
            exist([words.pop(0)])
        elif word == "-e":
            assert words.pop(0).removeprefix(".").strip("[]") in {"", *PROJECT["project"]["optional-dependencies"]}
        elif word not in UNPINNED:
            name, _, version = word.partition("==")
            assert PINNED[name] == version


def shows_the_records(words: list[str], _: object) -> None:
    """MLflow is a dependency, and looks at the default store."""
    assert any(each.startswith("mlflow") for each in PROJECT["project"]["dependencies"])
    assert words == ["ui", "--backend-store-uri", Tracking().uri]


def shows_the_events(words: list[str], _: object) -> None:
    """TensorBoard looks where the command line says that the records are."""
    spec = made_spec(name="NAME", tracking=Tracking(stores=("tensorboard",)))
    assert f"tensorboard {shlex.join(words)}" == next_steps(spec, None)[0]


def shows_the_study(words: list[str], _: object) -> None:
    assert words == [str(Path("searches", SearchFolder(Path("NAME")).journal))]


def serves_a_model(words: list[str], _: object) -> None:
    assert shlex.join(["env", *words]) == serve_command(str(Tracking().uri), words[words.index("-m") + 1])


def hooks_in(words: list[str], _: object) -> None:
    assert words == ["install"]
    exist([".pre-commit-config.yaml"])


def is_rays_own(words: list[str], _: object) -> None:
    """The command and its options are Ray's; a file that it reads is there."""
    commands: Any = importlib.import_module("ray.scripts.scripts").cli.commands
    command = commands[words.pop(0)]
    command = command.commands[words.pop(0)] if hasattr(command, "commands") else command
    if "--" in words:  # of a job: the command line that it runs
        words = words[: words.index("--")]
    known = {option for each in command.params for option in each.opts}
    assert {word.partition("=")[0] for word in words if word.startswith("-")} <= known
    exist([word for word in words if word.startswith("deploy/")])


def reads_files(words: list[str], _: object) -> None:
    """Of Docker, Kubernetes or Slurm, which need not be here."""
    assert any(word.startswith("deploy/") for word in words) or words[0] in ("run", "logs")
    exist([word for word in words if word.startswith("deploy/")])


def activates(words: list[str], _: object) -> None:
    assert words == [".venv/bin/activate"]
    assert "VENV := .venv\n" in (ROOT / "Makefile").read_text()


CHECKS: dict[str, Callable[[list[str], Any], None]] = {
    "python run_search.py": parses_search,
    "python -m": is_python_module,
    "python3.11 -m": is_python_module,
    "make": is_make_target,
    "pip": installs,
    "mlflow": shows_the_records,
    "tensorboard": shows_the_events,
    "optuna-dashboard": shows_the_study,
    "env": serves_a_model,
    "pre-commit": hooks_in,
    "ray": is_rays_own,
    "docker": reads_files,
    "kubectl": reads_files,
    "sbatch": reads_files,
    ".": activates,
}
"""First words of a command -> what checks the others."""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty working directory and cache; the handlers of the log are taken away again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    logger = logging.getLogger("mirrortune")
    before = list(logger.handlers)
    yield
    logger.handlers[:] = before


@pytest.mark.parametrize(("where", "words"), LINES, ids=[f"{where} {' '.join(words)}" for where, words in LINES])
def test_a_command_of_the_documents_exists(where: str, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    start = next(start for start in CHECKS if words[: len(start.split())] == start.split())
    CHECKS[start](words[len(start.split()) :], capsys)


def test_a_wrong_command_would_be_found(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--modle", "GRCN"], ["--trials"], ["prepare", "--form", "x"], ["--time-budget", "2y"]):
        with pytest.raises(AssertionError):
            parses_search(words, capsys)
    for words, check in ((["tset"], is_make_target), (["install", "torch==1.0"], installs), (["ui"], activates)):
        with pytest.raises(AssertionError):
            check(words, capsys)


@pytest.mark.parametrize("words", SEARCHES, ids=" ".join)
def test_a_search_of_the_documents_can_start(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Its model, strategies and parameters exist; the data need not."""
    assert run_search.main([*words, *(["--dry-run"] if "--dry-run" not in words else [])]) == 0
    assert re.search("^model: |^overview .*: .* pairs", capsys.readouterr().out, re.MULTILINE)


def test_the_readme_shows_the_search_of_make_demo() -> None:
    (block,) = [block for block in blocks_of("README.md") if "run_search.py --model GRCN --dataset demo" in block.text]
    assert f"$(BIN)/{block.text.strip()}\n" in (ROOT / "Makefile").read_text()


@pytest.fixture(scope="module")
def options() -> set[str]:
    """Every option of the command line and its commands."""
    return set(
        re.findall(r"--[a-z][a-z-]+", "".join(map(help_of, [*COMMANDS, *(f"analyze {kind}" for kind in KINDS)])))
    )


def help_of(name: str) -> str:
    output = io.StringIO()
    with contextlib.redirect_stdout(output), pytest.raises(SystemExit):
        run_search.main([*name.split(), "--help"])
    return output.getvalue()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_an_option_that_is_mentioned_exists(document: str, options: set[str]) -> None:
    mentioned = {flag for where, span in SPANS if where == document for flag in re.findall(r"--[a-z][a-z-]+", span)}
    assert mentioned <= options


def test_models_and_strategies_that_are_mentioned_exist() -> None:
    models = first_column("docs/models.md", "model")
    assert set(re.split(r", ", ", ".join(models))) <= MODELS.keys()
    names = re.findall(r"`(\w+)`", " ".join(first_column("docs/strategies.md", "name")))
    assert set(names) <= set(STRATEGIES)
    assert len(models) > 5 < len(names)


def first_column(document: str, header: str) -> list[str]:
    """The cells below a header that begins a table."""
    lines = iter(prose_of(document).splitlines())
    assert any(line.startswith(f"| {header} |") for line in lines)
    next(lines)
    cells = []
    for line in lines:
        if not line.startswith("|"):
            break
        cells.append(line.split("|")[1].strip())
    return cells


PATHS = sorted(
    {span for _, span in SPANS if re.fullmatch(r"(recmodels|tuning|tests|search_spaces|docs)(/[\w.-]+)*/?", span)}
    | {span for _, span in SPANS if re.fullmatch(r"[\w-]+\.(toml|md|txt|cff|py)", span) and span[0].islower()}
)


@pytest.mark.parametrize("path", PATHS)
def test_a_file_that_is_mentioned_exists(path: str) -> None:
    """NAME in a path stands for any name."""
    pattern = path.replace("NAME", "*")
    assert any(ROOT.glob(pattern)), path


DEFINITIONS = re.findall(
    r"`(\w+)(?:\([^`]*\))?`(?: of| in) `(\w+/[\w/]+(?:\.py)?)`",
    " ".join(prose_of("CONTRIBUTING.md").split()),
)


@pytest.mark.parametrize(("name", "path"), DEFINITIONS)
def test_a_name_is_defined_where_it_is_said_to_be(name: str, path: str) -> None:
    """In the file, or among the names of the package."""
    if path.endswith(".py"):
        assert re.search(rf"^ *(def |class )?{name}\b", (ROOT / path).read_text(), re.MULTILINE)
    else:
        assert name in importlib.import_module(path.replace("/", ".")).__all__


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", prose_of(document)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        linked = ((ROOT / document).parent / path) if path else ROOT / document
        assert linked.is_file(), target
        if anchor:
            assert anchor in anchors(linked), target


def anchors(path: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_document_is_linked_from_the_readme() -> None:
    assert {name for name in DOCUMENTS if name.startswith("docs/")} <= set(
        re.findall(r"\]\(([^)#]+)", text_of("README.md"))
    )


EXAMPLES = sorted({block.document for block in BLOCKS if block.language == "python"})


@pytest.mark.parametrize("document", EXAMPLES)
def test_the_examples_of_a_document_run_one_after_the_other(document: str, tmp_path: Path) -> None:
    """In a process of their own, as a search starts workers."""
    texts = [block.text for block in BLOCKS if (block.document, block.language) == (document, "python")]
    script = tmp_path / "example.py"
    script.write_text("\n".join(texts), encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert not done.stderr  # neither Ray nor Optuna says anything


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "yaml"], ids=str)
def test_a_space_of_the_documents_can_be_searched(block: Block, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(block.text)
    words = ["--model", "LightGCN", "--dataset", "demo", "--space", "mine.yaml", "--dry-run"]
    assert run_search.main(words) == 0


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "yml"], ids=str)
def test_the_pairs_of_the_documents_can_start(block: Block, tmp_path: Path) -> None:
    (tmp_path / "pairs.yaml").write_text(block.text)
    assert run_search.main(["--pairs", "pairs.yaml", "--dry-run"]) == 0


WITH_EXAMPLES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for package in ("recmodels", "tuning")
    for path in (ROOT / package).rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_the_examples_of_docstrings_run(module: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(module))
    assert tried > 0
    assert failed == 0
