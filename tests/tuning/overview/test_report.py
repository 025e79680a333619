"""The table as text: Markdown, LaTeX that compiles, CSV and JSON without gaps."""

import csv
import io
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.tuning.overview.factories import made_overview
from tests.tuning.overview.test_table import made_table
from tuning.overview import Overview, OverviewTable, terminal_table, write_tables
from tuning.overview.report import latex, markdown
from tuning.reports.tables import markdown_table

DOCUMENT = "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n%s\\end{document}\n"


@pytest.fixture(autouse=True)
def no_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folders of the searches are not there."""
    monkeypatch.setattr("tuning.overview.runner.fault_of", lambda pair: None)


@pytest.fixture
def overview(here: Path) -> Overview:
    """One data set is a folder whose name is full of what LaTeX and Markdown read in a way of their own."""
    folder = here / "data" / "a_b&50%|#1"
    folder.mkdir(parents=True)
    return made_overview(datasets="demo,a_b&50%|#1", data_dir="data")


@pytest.fixture
def table(overview: Overview) -> OverviewTable:
    return made_table(overview, without="o-BPR-demo", popularity=0.25)


class Latex:
    """Checks a text as strictly as LaTeX would: groups and environments are closed, special characters have a
    backslash, and each row of a tabular has as many cells as its columns say."""

    def __init__(self, text: str):
        self.text = re.sub(r"(?<!\\)%.*", "", text)
        self.environments()
        self.groups()
        self.special()
        self.widths = [self.cells(*found) for found in re.findall(self.TABULAR, self.text, re.DOTALL)]

    TABULAR = r"\\begin\{tabular\}\{([lrc]+)\}(.*?)\\end\{tabular\}"

    def environments(self) -> None:
        opened: list[str] = []
        for command, name in re.findall(r"\\(begin|end)\{(\w+)\}", self.text):
            if command == "begin":
                opened.append(name)
            else:
                assert opened.pop() == name
        assert opened == []

    def groups(self) -> None:
        depth = 0
        for brace in re.findall(r"(?<!\\)[{}]", self.text):
            depth += 1 if brace == "{" else -1
            assert depth >= 0
        assert depth == 0

    def special(self) -> None:
        outside = re.sub(r"(?<!\\)\$[^$]*\$|\\label\{[^}]*\}", "", self.text)
        assert re.findall(r"(?<!\\)[$_^#~]", outside) == []
        rows = re.sub(self.TABULAR, "", outside, flags=re.DOTALL)
        assert re.findall(r"(?<!\\)&", rows) == []

    def cells(self, columns: str, body: str) -> int:
        lines = re.sub(r"\\(top|mid|bottom)rule|\\cline\{[^}]*\}", "", body).split("\\\\")
        for line in filter(None, map(str.strip, lines)):
            parts = re.split(r"(?<!\\)&", line)
            spans = [int(found[1]) if (found := re.search(r"\\multicolumn\{(\d+)\}", part)) else 1 for part in parts]
            assert sum(spans) == len(columns), line
        return len(columns)


def test_the_latex_is_a_whole_table(table: OverviewTable) -> None:
    text = latex(table)
    assert Latex(DOCUMENT % text).widths == [2 + 6]
    assert r"\multicolumn{2}{c}{a\_b\&50\%|\#1}" in text
    assert r"+50.0\%$^{*}$" in text
    assert r"$^{\dagger}$ below popularity" in text
    assert r"ValueError: no room\_left \& no hope" in text


@pytest.mark.parametrize("compiler", ["pdflatex", "tectonic"])
def test_the_latex_compiles(table: OverviewTable, here: Path, compiler: str) -> None:
    if not (program := shutil.which(compiler)):
        pytest.skip(f"there is no {compiler} on the PATH")
    (here / "page.tex").write_text(DOCUMENT % latex(table))
    done = subprocess.run([program, "page.tex"], cwd=here, stdin=subprocess.DEVNULL, capture_output=True, timeout=900)
    assert done.returncode == 0, done.stdout.decode()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r"\&50", "&50"),
        (r"\\", r"& \\"),
        (r"\end{minipage}", ""),
        (r"a\_b", "a_b"),
        ("r}", "r"),
        (r"\#1", "#1"),
    ],
)
def test_a_fault_in_the_latex_would_be_found(table: OverviewTable, old: str, new: str) -> None:
    text = latex(table)
    assert old in text
    with pytest.raises((AssertionError, IndexError)):
        Latex(DOCUMENT % text.replace(old, new, 1))


def test_the_markdown_has_a_cell_for_each_column(table: OverviewTable) -> None:
    lines = [line for line in markdown(table).splitlines() if line.startswith("|")]
    assert {len(re.split(r"(?<!\\)\|", line)) for line in lines} == {2 + 8}
    assert [re.split(r"(?<!\\)\|", line)[1:3] for line in lines[2:]] == [
        [" LightGCN ", " plain "],
        ["  ", " mg "],
        ["  ", " mg gain "],
        [" BPR ", " plain "],
        ["  ", " mg "],
        ["  ", " mg gain "],
        [" mean gain ", " mg gain "],
        [" popularity ", "  "],
    ]
    assert "- [1] BPR on demo: ValueError" in markdown(table)
    assert "\n- \\* better or worse than plain" in markdown(table)


def test_the_terminal_shows_the_same_rows(table: OverviewTable) -> None:
    console = Console(width=200, record=True)
    console.print(terminal_table(table))
    text = console.export_text()
    for word in ("LightGCN", "failed [1]", "+50.0% *", "0.2 †", "a_b&50%|#1"):
        assert word in text


def test_the_csv_has_a_line_for_every_model_data_set_strategy_and_metric(
    overview: Overview, table: OverviewTable
) -> None:
    write_tables(overview, table)
    rows = list(csv.DictReader(io.StringIO((overview.folder / "overview.csv").read_text())))
    assert len(rows) == 2 * 2 * 2 * 2
    keys = [(row["model"], row["dataset"], row["strategy"], row["metric"]) for row in rows]
    assert len(set(keys)) == 16
    mg = rows[keys.index(("LightGCN", "demo", "mg", "recall@20"))]
    assert {name: float(mg[name]) for name in ("mean", "seeds", "gain", "difference")} == pytest.approx(
        {"mean": 0.3, "seeds": 3, "gain": 0.5, "difference": 0.1}
    )
    assert float(mg["low"]) < 0.1 < float(mg["high"])
    assert 0 < float(mg["p_seeds"]) < 1
    assert (mg["decision"], mg["fault"]) == ("better than plain", "")
    lost = rows[keys.index(("BPR", "demo", "plain", "ndcg@20"))]
    assert (lost["mean"], lost["seeds"]) == ("", "0")
    assert lost["fault"].startswith("ValueError")


def test_the_json_says_it_all(overview: Overview, table: OverviewTable) -> None:
    write_tables(overview, table)
    content = json.loads((overview.folder / "overview.json").read_text())
    assert [pair["name"] for pair in content["pairs"]][:2] == ["o-LightGCN-demo", "o-LightGCN-a_b-50-1"]
    assert len(content["entries"]) == 16
    overall = [mean for mean in content["mean_gains"] if (mean["model"], mean["dataset"]) == (None, None)]
    assert {(mean["metric"], mean["pairs"], mean["of"]) for mean in overall} == {("recall@20", 3, 4), ("ndcg@20", 3, 4)}
    assert any(remark.startswith("[1] BPR on demo") for remark in content["remarks"])


def test_a_report_replaces_the_one_before_as_a_whole(overview: Overview, table: OverviewTable) -> None:
    write_tables(overview, table)
    before = {path.name: path.read_text() for path in overview.folder.glob("overview.*")}
    write_tables(overview, table)
    assert {path.name: path.read_text() for path in overview.folder.glob("overview.*")} == before
    assert sorted(before) == ["overview.csv", "overview.json", "overview.md", "overview.tex", "overview.yaml"]


def test_a_heading_does_not_part_a_column() -> None:
    from tuning.reports.tables import Column

    columns: list[Any] = [Column("a|b", str)]
    assert markdown_table(columns, ["c"]).splitlines()[0] == "| a\\|b |"
