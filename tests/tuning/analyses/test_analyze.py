"""The command analyze: from exported configurations to files; what is done is not done again."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

import run_search
from recmodels.analysis import fixed_loss, flatness, landscape
from recmodels.analysis.fixed_loss import fixed_batches
from recmodels.analysis.fixed_loss import fixed_loss as loss_of
from recmodels.errors import UserError
from recmodels.training.strategies.mg import MirrorGradient
from tests.tuning.analyses.factories import BOARD, LANDSCAPE, SHARPNESS, SMALL, analyze, made_export, made_search_of
from tests.tuning.cli.conftest import board, here
from tests.tuning.cli.helpers import refused
from tests.tuning.cli.test_recommend import EXPORT
from tuning.analyses.fixed import flattest
from tuning.analyses.subjects import folder_name, read_subjects
from tuning.cli import analyze_landscape, analyze_sharpness, analyzed
from tuning.export.model import Export
from tuning.export.replay import load_model
from tuning.export.weights import kept_weights
from tuning.pages.analyses_section import analyses_sections
from tuning.pages.content import Links, Table, Text
from tuning.records import SearchFolder
from tuning.records.analyses import analyses_of
from tuning.spec import Tracking
from tuning.tracking.attach import attach
from tuning.tracking.mlflow_store import MlflowStore
from tuning.tracking.tracker import run_ids

__all__ = ["board", "here"]


@pytest.fixture
def exports(here: Path, board: None) -> Path:
    made_export("plain")
    made_export("mg", "mg", parameters={"train": EXPORT["parameters"]["train"] | {"lr_decay": 0.9}})
    return here


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is trained from now on."""

    def trains(*_: Any) -> None:
        raise AssertionError("it trains again")

    monkeypatch.setattr(analyzed, "with_progress", trains)


@pytest.fixture
def unprinted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures for papers take seconds, and are left out."""
    for module in ("landscape_figure", "sharpness_figure"):
        monkeypatch.setattr(f"tuning.analyses.{module}.save_figure", lambda *_: None)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_a_landscape_of_two_exports(exports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The centre of each surface is exactly the loss of the trained weights; all files are there."""
    assert analyze(*LANDSCAPE) == 0
    out = exports / "out"
    found = read(out / "landscape.json")
    points = rows(out / "landscape.csv")
    assert len(points) == 2 * 2 * 9
    assert found["axis"] == [-1.0, 0.0, 1.0]
    for label in ("plain", "mg"):
        (weights,) = (out / "weights").glob(f"{label}-*.safetensors")
        model = load_model(read_subjects([Path(f"{label}.yaml")])[0].export, BOARD, weights)
        with loss_of(model, fixed_batches(model, BOARD, batch_size=8, n=2, seed=999), seed=999) as loss:
            trained = loss()
        own = [each for each in found["surfaces"] if each["export"] == label]
        assert [each["losses"][1][1] for each in own] == [each["loss"] for each in own] == [trained] * 2
        assert own[0]["losses"] != own[1]["losses"]
        centre = [row for row in points if row["export"] == label and float(row["m"]) == float(row["n"]) == 0]
        assert [(float(row["loss"]), float(row["rise"])) for row in centre] == [(trained, 0.0)] * 2
    (line,) = found["lines"]
    assert (line["from"], line["to"], line["reason"]) == ("plain", "mg", "")
    ends = dict(zip(line["t"], line["losses"], strict=True))
    assert [ends[0.0], ends[1.0]] == [found["surfaces"][0]["loss"], found["surfaces"][2]["loss"]]
    assert line["barrier"] >= 0
    assert found["versions"]["torch"]
    assert len(rows(out / "landscape-numbers.csv")) == 4
    assert len(rows(out / "landscape-lines.csv")) == 41
    assert (out / "landscape.png").read_bytes().startswith(b"\x89PNG")
    assert (out / "landscape.pdf").read_bytes().startswith(b"%PDF")
    page = (out / "landscape.html").read_text()
    assert "Loss landscapes of BPR on board" in page
    assert 'id="plot-surface-1"' in page
    assert "landscape: out/landscape.html" in capsys.readouterr().out


def test_sharpness_of_two_exports(exports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every number has the loss and the norms beside it; the one that mirrors has the theorem's penalty."""
    assert analyze(*SHARPNESS) == 0
    out = exports / "out"
    found = read(out / "sharpness.json")["records"]
    table = rows(out / "sharpness.csv")
    assert len(table) == len(found) == 2 * 2 * (2 + 6) + 1
    by_name = {(row["export"], row["scope"], row["measure"], row["level"]): row for row in found}
    for row in found:
        assert row["of_loss"] == pytest.approx(row["value"] / row["loss"])
        assert row["norm"] > 0
        assert row["sizes"].keys() == {"user_emb", "item_emb"}
        assert row["checkpoint"]
    gradient = by_name["mg", "all", "gradient_norm_squared", None]["value"]
    rate = 0.05 * 0.9 ** ((Export.read(Path("mg.yaml")).training.best_epoch - 1) / 50)
    expected = MirrorGradient(alpha=1.0, beta=0.5, interval=1).penalty(rate, gradient)["mg_penalty"]
    assert by_name["mg", "all", "mg_penalty", None]["value"] == pytest.approx(expected)
    assert ("plain", "all", "mg_penalty", None) not in by_name
    assert table[0]["sizes"].startswith("user_emb=0.")
    assert all((out / f"sharpness.{kind}").stat().st_size > 1000 for kind in ("html", "png", "pdf"))
    assert "one_step 0.01 relative" in capsys.readouterr().out


@pytest.mark.parametrize("command", [LANDSCAPE, SHARPNESS])
def test_an_interrupted_analysis_goes_on_and_ends_with_the_same_numbers(
    exports: Path, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, unprinted: None
) -> None:
    """A torn last line is computed again, all others are not, and nothing is trained twice."""
    kind, out = command[1], exports / "out"
    assert analyze(*command) == 0
    whole, parts = (out / f"{kind}.csv").read_text(), (out / f"{kind}.jsonl").read_text()
    lines = parts.splitlines(keepends=True)
    (out / f"{kind}.jsonl").write_text("".join(lines[:4]) + lines[4][:20])
    (out / f"{kind}.csv").unlink()
    monkeypatch.setattr(analyzed, "with_progress", None)  # whoever trains fails
    assert analyze(*command) == 0
    assert (out / f"{kind}.jsonl").read_text().splitlines(keepends=True)[:4] == lines[:4]
    costs = {"seconds"}
    again, first = (list(csv.DictReader(text.splitlines())) for text in ((out / f"{kind}.csv").read_text(), whole))
    for one, other in zip(again, first, strict=True):
        assert {key: one[key] for key in one.keys() - costs} == {key: other[key] for key in other.keys() - costs}
    before = (out / f"{kind}.jsonl").read_text()
    assert analyze(*command) == 0
    assert (out / f"{kind}.jsonl").read_text() == before


def test_another_setting_is_computed_anew_beside_the_old_one(exports: Path, unprinted: None) -> None:
    assert analyze(*LANDSCAPE) == 0
    before = read(exports / "out" / "landscape.json")["surfaces"][0]["loss"]
    n_parts = len((exports / "out" / "landscape.jsonl").read_text().splitlines())
    assert analyze(*LANDSCAPE, "--seed", "7") == 0
    assert read(exports / "out" / "landscape.json")["surfaces"][0]["loss"] != before
    assert len((exports / "out" / "landscape.jsonl").read_text().splitlines()) == 2 * n_parts


def test_weights_come_from_the_search_where_they_are(
    exports: Path, untrained: None, unprinted: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """The trial with the exported parameters, seed and metrics, not another one of the search."""
    export = read_subjects([Path("plain.yaml")])[0].export
    path = made_search_of(export, exports / "searches")
    assert kept_weights(export, exports / "searches") == path
    command = ("analyze", "landscape", "plain.yaml", *SMALL, "--points", "2", "--pairs", "1")
    assert analyze(*command) == 0
    assert f"plain: weights of the search s, {path.relative_to(exports)}" in capsys.readouterr().out
    assert (exports / "analyses" / "plain" / "landscape.json").exists()
    assert not (exports / "analyses" / "plain" / "weights").exists()


@pytest.mark.parametrize("differs", ["seed", "data_fingerprint", "search", "file"])
def test_weights_of_another_training_are_not_taken(exports: Path, differs: str) -> None:
    export = read_subjects([Path("plain.yaml")])[0].export
    path = made_search_of(export, exports / "searches")
    if differs == "file":
        path.unlink()
    elif differs == "search":
        export = export.model_copy(update={"search": export.search.model_copy(update={"name": "absent"})})
    else:
        export = export.model_copy(update={differs: {"seed": 77, "data_fingerprint": "x"}[differs]})
    assert kept_weights(export, exports / "searches") is None


def test_no_line_is_drawn_where_no_single_loss_holds(
    exports: Path, unprinted: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """And that is said, in the table of lines and on the terminal."""
    made_export("other", parameters={"model": {"embedding_size": 4, "reg_weight": 0.5}})
    command = ("analyze", "landscape", "plain.yaml", "other.yaml", *SMALL, "--points", "2", "--pairs", "1")
    assert analyze(*command, "--output", "out") == 0
    (line,) = read(exports / "out" / "landscape.json")["lines"]
    assert line["reason"] == "their losses may differ: reg_weight by default and 0.5"
    assert line["barrier"] is None
    assert f"no line from plain to other: {line['reason']}" in capsys.readouterr().out
    assert not (exports / "out" / "landscape-lines.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("landscape",), "the following arguments are required: EXPORT.yaml"),
        (("sharpnes", "plain.yaml"), "analyze sharpnes: expected one of "),
        (
            ("landscape", "plian.yaml"),
            "plian.yaml: No such file or directory, expected an exported configuration; did you",
        ),
        (("landscape", "plain.yaml", "./plain.yaml"), "plain.yaml: given twice, expected different exports"),
        (("landscape", "plain.yaml", "other.yaml"), "other.yaml: expected exports of one data set, but got elsewhere"),
        (("landscape", "plain.yaml", "--points", "1"), "--points: expected at least 2, but got 1"),
        (("landscape", "plain.yaml", "--reach", "0"), "--reach: expected more than 0, but got 0"),
        (("landscape", "plain.yaml", "--directions", "up"), "--directions: invalid choice: 'up'"),
        (("sharpness", "plain.yaml", "--batch-size", "0"), "--batch-size: expected at least 1, but got 0"),
        (("sharpness", "plain.yaml", "--measures", "tracé"), "--measures tracé: expected some of gradient, "),
        (("sharpness", "plain.yaml", "--scopes", ","), "--scopes: expected some of all, ids, without-features"),
        (("sharpness", "plain.yaml", "--pionts", "3"), "--pionts: no such option"),
        (("sharpness", "plain.yaml", "--output", "plain.yaml"), "--output plain.yaml: plain.yaml is not a folder"),
    ],
)
def test_bad_input_is_one_line(exports: Path, capsys: Any, arguments: tuple[str, ...], message: str) -> None:
    made_export("other", dataset="elsewhere")
    assert refused(capsys, "analyze", *arguments).startswith(message)


def test_a_folder_in_which_another_process_writes_is_refused(exports: Path, capsys: Any) -> None:
    (exports / "out").mkdir()
    with FileLock(exports / "out" / ".lock"):
        assert refused(capsys, *LANDSCAPE) == "out: an analysis in another process writes there"


def test_a_model_without_weights_is_refused(here: Path, board: None, capsys: Any) -> None:
    made_export("popular", model="Popularity", parameters={"model": {}})
    assert analyze("analyze", "sharpness", "popular.yaml", *SMALL, "--output", "out") == 2
    assert "Popularity has no trained weights of the scope all" in capsys.readouterr().err


def test_a_weight_file_that_no_longer_gives_the_exported_metric_is_pointed_out(
    exports: Path, unprinted: None, capsys: pytest.CaptureFixture[str]
) -> None:
    text = Path("plain.yaml").read_text()
    assert analyze("analyze", "landscape", "plain.yaml", *SMALL, "--points", "2", "--pairs", "1") == 0
    assert "in the export" not in capsys.readouterr().out
    value = read_subjects([Path("plain.yaml")])[0].export.metrics.valid["recall@5"]
    Path("plain.yaml").write_text(text.replace(f"recall@5: {value}", "recall@5: 0.123"))
    assert analyze("analyze", "landscape", "plain.yaml", *SMALL, "--points", "2", "--pairs", "1") == 0
    assert "but 0.123000 in the export" in capsys.readouterr().out


def test_the_help_needs_no_heavy_import() -> None:
    heavy = "{'torch', 'ray', 'mlflow', 'optuna', 'numpy', 'pandas', 'matplotlib', 'plotly'}"
    root = Path(run_search.__file__).parent
    for kind in ("flatness", "landscape", "robustness", "sharpness"):
        script = (
            f"import sys, run_search\ntry: run_search.main(['analyze', '{kind}', '--help'])\nexcept SystemExit: pass"
        )
        check = f"{script}\nassert not {heavy} & set(sys.modules), {heavy} & set(sys.modules)"
        subprocess.run([sys.executable, "-c", check], cwd=root, check=True, capture_output=True)


def test_names_on_the_command_line_are_those_of_the_measures() -> None:
    assert tuple(flatness.MEASURES) == analyze_sharpness.NAMES
    assert fixed_loss.SCOPES == analyze_landscape.SCOPES
    assert landscape.NORMALISATIONS == analyze_landscape.NORMALISATIONS == tuple(analyze_landscape.REACH)


def test_names_of_folders(exports: Path) -> None:
    made = read_subjects([Path("plain.yaml"), Path("mg.yaml")])
    assert folder_name(each.label for each in made) == "plain+mg"
    many = [f"a-long-name-{number}" for number in range(20)]
    assert len(folder_name(many)) == 100
    assert folder_name(many) != folder_name(many[:-1])
    Path("sub").mkdir()
    Path("sub/plain.yaml").write_text(Path("plain.yaml").read_text())
    both = read_subjects([Path("plain.yaml"), Path("sub/plain.yaml")])
    assert [each.label for each in both] == ["plain", "sub/plain"]


def test_the_flattest_is_so_at_every_level() -> None:
    assert flattest({0: {"a": 1.0, "b": 2.0}, 1: {"a": 3.0, "b": 4.0}}) == "a"
    assert flattest({0: {"a": 1.0, "b": 2.0}, 1: {"a": 5.0, "b": 4.0}}) is None
    assert flattest({0: {"a": None, "b": 2.0}}) is None


def test_the_search_is_told_of_an_analysis(exports: Path, unprinted: None, capsys: pytest.CaptureFixture[str]) -> None:
    """Its report has the verdict, the numbers and a link, of each analysis the latest; its run gets the files."""
    export = read_subjects([Path("plain.yaml")])[0].export
    folder = SearchFolder(made_search_of(export, exports / "searches").parents[2])
    command = ("analyze", "sharpness", "plain.yaml", *SMALL, "--measures", "gradient", "--scopes", "all")
    for seed in ("1", "2"):
        assert analyze(*command, "--seed", seed, "--output", "out") == 0
    (note,) = analyses_of(folder)
    assert (note.kind, note.exports, note.page) == ("sharpness", ("plain",), str(exports / "out" / "sharpness.html"))
    (section,) = analyses_sections([folder, folder], exports / "searches" / "s")
    text, table, links = section.parts
    assert isinstance(text, Text)
    assert text.text.startswith(f"Sharpness of plain: {note.verdict}")
    assert isinstance(table, Table)
    assert ["all", "gradient_norm"] in [list(row[:2]) for row in table.rows]
    assert isinstance(links, Links)
    assert links.links == (("sharpness of plain", "../../out/sharpness.html"),)
    assert analyses_sections([SearchFolder(exports / "elsewhere")], exports) == []
    assert "not told" not in capsys.readouterr().out


def test_a_search_with_records_gets_the_files(exports: Path, unprinted: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, with the run of the search itself; a store that refuses them costs a line."""
    export = read_subjects([Path("plain.yaml")])[0].export
    folder = SearchFolder(made_search_of(export, exports / "searches").parents[2])
    folder.write_spec(folder.spec().model_copy(update={"tracking": Tracking(uri="sqlite:///m.db")}))
    uploaded: list[tuple[str, str]] = []

    class Stored(MlflowStore):
        def __init__(self, *_: Any) -> None: ...

        def upload(self, run_id: str, path: Path) -> None:
            uploaded.append((run_id, path.name))

    monkeypatch.setattr("tuning.tracking.attach.store_for", lambda uri: Stored)
    files = [Path("a.csv"), Path("b.html")]
    with pytest.raises(UserError, match="no run of the search"):
        attach(folder, files)
    run_ids(folder, "sqlite:///m.db").remember("search", "r1", "1")
    assert attach(folder, files)
    assert uploaded == [("r1", "a.csv"), ("r1", "b.html")]


def test_damaged_notes_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "analyses.jsonl").write_text('{"kind": "landscape"}\n')
    with pytest.raises(UserError, match=r"analyses\.jsonl: not notes of analyses"):
        analyses_of(SearchFolder(tmp_path))
