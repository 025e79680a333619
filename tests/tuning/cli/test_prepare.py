"""The command that makes a data set from a table: options of its dialect, and one line with exit code 2."""

from pathlib import Path

import pytest

import run_search

ROWS = [(user, item) for user in range(6) for item in range(8)]


def prepare(*options: str) -> int:
    return run_search.main(["prepare", "--name", "own", *options])


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ratings.dat").write_text("".join(f"{user}::{item}::5::{user + item}\n" for user, item in ROWS))
    Path("plays.csv").write_bytes(
        ("user;item\n" + "".join(f"Zoë {user};{item}\n" for user, item in ROWS)).encode("cp1252")
    )
    Path("torn.tsv").write_text('user\titem\ttitle\n1\t2\t"best shoes\n' + "".join(f"{u}\t{i}\tx\n" for u, i in ROWS))


@pytest.mark.parametrize(
    "options",
    [
        ["--from", "ratings.dat", "--sep", "::", "--no-header"],
        ["--from", "ratings.dat", "--sep=::", "--no-header", "--time-col", "3", "--split", "leave-last-out"],
        ["--from", "plays.csv", "--sep", ";", "--encoding", "cp1252", "--header"],
        ["--from", "torn.tsv", "--quote", "none"],
    ],
)
def test_a_table_in_a_dialect_becomes_a_data_set(options: list[str]) -> None:
    assert prepare(*options) == 0
    assert Path("data/own/own.inter").is_file()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--from", "ratings.dat"], "'0::0::5::0', with tab between cells, expected several (--sep '::'?)"),
        (["--from", "ratings.dat", "--sep", "::"], "expected --no-header if it has none, --header if they are names"),
        (["--from", "plays.csv", "--sep", ";"], "row 1: user is b'Zo\\xeb 0', expected text in UTF-8 (--encoding?)"),
        (["--from", "torn.tsv"], "'\"best shoes' (no mark closes it), expected a whole one, or --quote none if"),
        (["--from", "plays.csv", "--quote", "single"], "--quote: invalid choice: 'single'"),
        (["--from", "plays.csv", "--encoding", "latin-9x"], "--encoding latin-9x: no known encoding of text;"),
        (["baby", "--no-header"], "--no-header: only with --from"),
    ],
)  # fmt: skip
def test_a_table_that_would_be_misread_is_one_line_and_code_2(
    options: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (run_search.main(["prepare", *options]) if options[0] == "baby" else prepare(*options)) == 2
    error = capsys.readouterr().err
    assert line in error
    assert error.count("\n") == 1
    assert not Path("data").exists()
