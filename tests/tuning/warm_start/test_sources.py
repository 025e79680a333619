"""Earlier searches and exports are found by name, by file, or all of them; their test metrics are not read."""

from pathlib import Path
from typing import Any

import pytest

from recmodels.errors import UserError
from tests.tuning.factories import ENVIRONMENT, end_trial, made_folder, made_trial
from tuning.export.winner import export_best
from tuning.records.folder import SearchFolder
from tuning.records.selection import winner
from tuning.space.catalogue import search_space
from tuning.spec import SearchSpec
from tuning.warm_start import Source, find_sources
from tuning.yaml_document import parse_yaml, to_yaml

POINT = {"strategy": {"alpha": 1.0, "beta": 0.25, "interval": 3}}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def new(**changes: Any) -> SearchSpec:
    space = search_space("LightGCN", "mg", "demo")
    return SearchSpec.model_validate({"name": "new", "model": "LightGCN", "dataset": "demo", "space": space, **changes})


def finished(name: str, **changes: Any) -> SearchFolder:
    return made_folder(Path(), name=name, model="LightGCN", **changes)


def exported(folder: SearchFolder) -> Path:
    """The export of a search, with all parameters of its winner."""
    best = winner(folder.ledger().values())
    assert best is not None
    path = export_best(folder.spec(), best, {}, folder)
    space = search_space("LightGCN", folder.spec().strategy, "demo")
    content = parse_yaml(path.read_text(), str(path)).data
    path.write_text(to_yaml(content | {"parameters": space.resolve(space.default_point() or {})}))
    return path


def found(*named: str, strategies: tuple[str, ...] = ("mg",), **changes: Any) -> list[Source]:
    sources, said = find_sources(named, new(**changes), strategies)
    assert said == []
    return sources


def test_a_search_gives_its_finished_trials_best_first() -> None:
    folder = finished("old", trials=2, baseline=True)
    for name, status in (("0002", "pruned"), ("0003", "failed"), ("0004", "finished")):
        made_trial(folder, name, epochs=4)
        end_trial(folder, name, status)  # type: ignore[arg-type]
    made_trial(folder, "0005", epochs=4)  # it runs
    (source,) = found("old")
    assert [each.source for each in source.configurations] == ["old/0004", "old/0001", "old/0000"]
    assert source.configurations[0].value == folder.ledger()["0004"].value
    assert (source.model, source.strategy, source.fingerprint) == ("LightGCN", "mg", ENVIRONMENT.data.fingerprint)
    assert source.training == {"metric": "recall@20", "max_epochs": 1000, "patience": 20, "eval_every": 1}


def test_an_export_gives_the_winner() -> None:
    path = exported(finished("old"))
    (source,) = found(str(path))
    (configuration,) = source.configurations
    assert configuration.value == SearchFolder(Path("searches/old")).ledger()["0002"].value
    assert configuration.params["strategy"]["alpha"] == 1.0
    assert source.training == {"metric": "recall@20", "max_epochs": 1000, "patience": 20, "eval_every": 1}


def test_auto_is_every_search_and_export_of_the_strategy() -> None:
    path = exported(finished("old"))
    finished("other", strategy="sam")
    finished("new")  # the search itself, which begins anew
    Path("best_configs/LightGCN-demo-mg-mmrec.yaml").write_text("learning_rate: 0.001\n")
    assert [source.name for source in found("auto")] == ["old", str(path)]
    assert [source.name for source in found("old", "auto", "old")] == ["old", str(path)]
    assert found("auto", output_dir="nowhere", export_dir="nowhere") == []


def test_auto_names_what_it_cannot_read() -> None:
    finished("a")
    (finished("b").path / "spec.yaml").write_text("format: 99\n")
    Path("best_configs").mkdir()
    Path("best_configs/notes.yaml").write_text("hello: 1\n")
    sources, said = find_sources(["auto"], new(), ["mg"])
    assert [source.name for source in sources] == ["a"]
    (line,) = said
    assert line.startswith("auto: not read: ")
    assert "b/spec.yaml: written by another version of MirrorTune" in line
    assert line.endswith(" (and 1 more)")


def test_a_comparison_gives_its_search_of_the_strategy() -> None:
    finished("c-mg")
    finished("c-sam-ema", strategy="sam+ema")
    assert [each.source for each in found("c")[0].configurations] == ["c/0002", "c/0001", "c/0000"]
    spec = new(strategy="sam+ema")
    sources, _ = find_sources(["c"], spec, ["sam+ema"])
    assert sources[0].strategy == "sam+ema"


def test_a_search_elsewhere_is_named_by_its_folder() -> None:
    finished("old").path.rename("moved")
    assert [source.name for source in found("moved")] == ["moved"]


def test_a_confirmation_has_no_points_of_its_own() -> None:
    folder = finished("old-seeds", trials=0, role="confirmation")
    made_trial(folder, "0000", epochs=1)
    plan = folder.trial("0000").plan()
    folder.trial("0000").write_plan(type(plan)(**{**vars(plan), "role": "confirmation"}))
    end_trial(folder, "0000")
    assert found("old-seeds")[0].configurations == ()


def test_with_others_beside_it_a_search_takes_only_what_is_of_its_strategy() -> None:
    finished("old", strategy="sam")
    assert found("old", strategies=("mg", "sam")) == []
    (source,) = found("old", strategies=("mg", "sam"), strategy="sam")
    assert source.name == "old"


def test_test_metrics_change_nothing() -> None:
    folder = finished("old")
    path = exported(folder)
    before = found("auto")
    ledger = folder.path / "ledger.jsonl"
    for file, key in ((ledger, '"test": {'), (path, "test:")):
        text = file.read_text()
        assert text.count(key) or file == ledger  # a ledger may have none
    content = parse_yaml(path.read_text(), "export").data
    content["metrics"]["test"] = {name: 1 - value for name, value in content["metrics"]["valid"].items()}
    path.write_text(to_yaml(content))
    for test in (folder.path / "trials").glob("*/test.json"):
        test.write_text("poison")
    assert found("auto") == before


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("odl", "--warm-start odl: no such search in searches; did you mean 'old'?"),
        ("Auto", "--warm-start Auto: no such search in searches; did you mean 'auto'?"),
        ("", "--warm-start : no such search in searches; known: auto, old, sam"),
        ("sam", "--warm-start sam: expected strategy mg, but got sam"),
        ("best_configs/no.yaml", "--warm-start: expected the export of a search: best_configs/no.yaml: No such file"),
        ("searches/old/spec.yaml", "--warm-start: expected the export of a search: searches/old/spec.yaml:"),
        ("searches/old/ledger.jsonl", "--warm-start: expected the export of a search: searches/old/ledger.jsonl"),
    ],
)
def test_a_source_that_is_not_there_or_of_another_kind(named: str, message: str) -> None:
    finished("old")
    finished("sam", strategy="sam")
    with pytest.raises(UserError) as error:
        found(named)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_an_export_that_has_lost_its_value() -> None:
    path = exported(finished("old"))
    content = parse_yaml(path.read_text(), "export").data
    path.write_text(to_yaml(content | {"metrics": {"valid": {"ndcg@20": 0.1}, "test": {}}}))
    with pytest.raises(UserError, match=r"metrics\.valid: expected recall@20, by which it was chosen"):
        found(str(path))
