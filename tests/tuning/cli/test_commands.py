"""One grammar: a command, its argument, its options; and the options of before, which mean the same."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import run_search
from recmodels.errors import UserError
from tests.tuning.cli.helpers import BARE, NEW, refused
from tests.tuning.factories import made_folder
from tuning.cli import experiment, main, search
from tuning.cli.commands import COMMANDS, EXAMPLES, MODULES, read

pytestmark = pytest.mark.usefixtures("here")


@pytest.mark.parametrize(
    ("command", "options"),
    [
        (("search", "--model", "GRCN", "--dry-run"), ("--model", "GRCN", "--dry-run")),
        (("resume", "made", "--trials", "9"), ("--resume", "made", "--trials", "9")),
        (("replay", "best.yaml", "--data-dir", "d"), ("--replay", "best.yaml", "--data-dir", "d")),
        (("list", "models"), ("--list-models",)),
        (("list", "datasets", "--data-dir", "d"), ("--list-datasets", "--data-dir", "d")),
    ],
)
def test_a_command_means_what_its_option_means(command: tuple[str, ...], options: tuple[str, ...]) -> None:
    assert read(command) == read(options)


def test_a_search_is_resumed_by_either(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_folder(here)
    ran: list[Any] = []
    monkeypatch.setattr(search, "search", lambda spec, data, argv, console: ran.append((spec, argv)) or 0)
    assert run_search.main(["resume", "made", "--trials", "9"]) == 0
    assert run_search.main(["--resume", "made", "--trials", "9"]) == 0
    (spec, argv), (other, _) = ran
    assert (spec, spec.budget.trials) == (other, 9)
    assert argv == ["resume", "made", "--trials", "9"]


def test_a_new_search_is_started_by_either(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    monkeypatch.setattr(experiment, "new", lambda options, *_: given.append(options) or 0)
    assert run_search.main(["search", "--model", "GRCN"]) == run_search.main(["--model", "GRCN"]) == 0
    assert given == [{"model": "GRCN"}] * 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("resume",), "the following arguments are required: NAME"),
        (("resume", "maed"), "resume maed: no such search in searches; did you mean 'made'?"),
        (("resume", "made", "--model", "GRCN"), "--model: cannot be changed by resume, start a new search instead"),
        (("resume", "made", "other"), "other: expected no further argument"),
        (("resume", "made", "--replay", "x"), "resume and --replay: expected one of them, not several"),
        (("resume", "made", "--trails", "9"), "--trails: no such option; did you mean '--trials'?"),
        (("replay", "absent.yaml"), "absent.yaml: No such file or directory"),
        (("replay", "text.yaml", "--trials", "3"), "--trials: has no meaning with replay, whose file"),
        (("list",), "list: expected one of models, datasets, strategies"),
        (("list", "modles"), "list modles: expected one of models, datasets, strategies; did you mean 'models'?"),
        (("serach",), "serach: no such option or command; did you mean 'search'?"),
        (("search", "GRCN"), "GRCN: expected no further argument"),
    ],
)
def test_a_fault_names_what_was_typed(capsys: Any, here: Path, arguments: tuple[str, ...], message: str) -> None:
    made_folder(here)
    (here / "text.yaml").write_text("just text")
    assert refused(capsys, *arguments).startswith(message)


def test_the_short_help_has_a_line_for_each_command(capsys: Any) -> None:
    assert run_search.main(["--help"]) == 0
    text = capsys.readouterr().out
    assert len(text.splitlines()) < 30
    for name, what in COMMANDS.items():
        assert f"  {name:10} {what}\n" in text
    assert EXAMPLES in text
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_its_own_help(capsys: Any, command: str) -> None:
    with pytest.raises(SystemExit) as end:
        run_search.main([command, "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: run_search.py {command} ")
    assert ("--epoch-budget" in text) == (command in ("search", "resume"))
    assert ("--sampler" in text) == (command == "search")


def test_each_module_is_a_command() -> None:
    assert set(MODULES) < set(COMMANDS)


def test_the_short_help_loads_neither_the_spec_nor_anything_heavy() -> None:
    heavy = "{'torch', 'ray', 'mlflow', 'optuna', 'numpy', 'pandas', 'pydantic', 'ruamel.yaml'}"
    script = f"import sys, run_search; run_search.main(['--help']); assert not {heavy} & set(sys.modules), sys.modules"
    root = Path(main.__file__).parents[2]
    subprocess.run([sys.executable, "-c", script], cwd=root, check=True, capture_output=True)


def test_what_comes_is_said_before_the_data_are_read(capsys: Any, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(*_: Any) -> None:
        raise UserError("no data")

    for module in (search, experiment):
        monkeypatch.setattr(module, "load_data", unreadable)
    assert run_search.main([*NEW, *BARE, "--name", "s", "--trials", "7"]) == 2
    line = f"search s: at most 7 trainings of LightGCN, mg, on demo; kept in {here / 'searches' / 's'}\n"
    assert capsys.readouterr().out == line
    assert run_search.main([*NEW, "--name", "e", "--trials", "7"]) == 2
    trainings = "at most 14 trainings in 2 searches (plain, mg), and 30 of the best configurations on fresh seeds"
    folder = here / "searches" / "e"
    assert capsys.readouterr().out == (
        f"experiment e: LightGCN on demo, {trainings}; kept in {folder}, result: result.md there\n"
    )
    assert not (here / "searches").exists()
