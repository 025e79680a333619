"""What is exported comes back exactly; what is wrong in a file is one line; the toolbox's file has its keys."""

import math
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recmodels.errors import UserError
from tests.tuning.factories import ENVIRONMENT, made_confirmation
from tuning.export import Export, export_best, export_name, read_trainable, to_mmrec
from tuning.records.folder import SearchFolder
from tuning.records.trials import BASELINE, TrialRecord
from tuning.spec import SearchSpec, Training
from tuning.yaml_document import parse_yaml, to_yaml

WINNER = TrialRecord(
    trial="0003",
    role="search",
    status="finished",
    reason=None,
    params={
        "strategy": {"alpha": 1.0, "beta": 0.1 + 0.2, "interval": 3},
        "train": {"learning_rate": 1e-05, "batch_size": 2048, "optimizer": "adam", "weight_decay": 0.0},
        "model": {"embedding_size": 64, "reg_weight": 1 / 3, "n_layers": 2},
    },
    point={"alpha": 1.0, "beta/alpha": 0.1 + 0.2},
    seed=999,
    threads=2,
    device="cpu",
    epochs=57,
    best_epoch=36,
    value=math.nextafter(0.08, 1),
    valid={"recall@20": math.nextafter(0.08, 1), "ndcg@20": 5e-324},
)
TEST = {"recall@20": 1 / 7}


def a_spec(**fields: Any) -> SearchSpec:
    return SearchSpec(**{"name": "s", "model": "GRCN", "dataset": "tiktok", "space": {}} | fields)


def exported(tmp_path: Path, spec: SearchSpec, record: TrialRecord = WINNER) -> Path:
    spec = spec.model_copy(update={"export_dir": str(tmp_path / "best_configs")})
    folder = SearchFolder(tmp_path / "searches" / spec.name)
    folder.write_environment(ENVIRONMENT)
    return export_best(spec, record, TEST, folder)


def test_every_value_comes_back_exactly(tmp_path):
    path = exported(tmp_path, a_spec(training=Training(metric="ndcg@7", ks=(5, 20), patience=4, eval_every=3)))
    assert path == tmp_path / "best_configs" / "GRCN-tiktok-mg.yaml"
    export = Export.read(path)
    assert (export.model, export.dataset, export.strategy) == ("GRCN", "tiktok", "mg")
    assert export.parameters == WINNER.params
    assert isinstance(export.parameters["strategy"]["alpha"], float)
    assert isinstance(export.parameters["strategy"]["interval"], int)
    assert (export.metrics.valid, export.metrics.test) == (WINNER.valid, TEST)
    assert (export.seed, export.training.epochs, export.training.best_epoch) == (999, 57, 36)
    assert (export.training.metric, export.training.ks) == ("ndcg@7", (5, 7, 20))
    assert (export.training.max_epochs, export.training.patience, export.training.eval_every) == (1000, 4, 3)
    assert (export.data_fingerprint, export.versions) == (ENVIRONMENT.data.fingerprint, ENVIRONMENT.versions)
    assert (export.threads, export.device) == (2, "cpu")


def test_popularity_comes_along_where_it_was_measured(tmp_path):
    scores = {"valid": {"recall@20": 1 / 3}, "test": {"recall@20": 1 / 7}}
    assert Export.read(exported(tmp_path, a_spec())).popularity is None
    SearchFolder(tmp_path / "searches" / "s").write_popularity(scores)
    path = exported(tmp_path, a_spec())
    assert Export.read(path).popularity.model_dump() == scores
    older = parse_yaml(path.read_text(), "text").data
    del older["popularity"]
    path.write_text(to_yaml(older))
    assert Export.read(path).popularity is None


def test_both_files_say_the_same_and_how_to_replay_themselves(tmp_path):
    path = exported(tmp_path, a_spec(data_dir="/my data"))
    best = tmp_path / "searches" / "s" / "best.yaml"
    assert Export.read(path) == Export.read(best)
    for file in (path, best):
        (command,) = [line[1:] for line in file.read_text().splitlines() if "--replay" in line]
        assert shlex.split(command) == ["python", "run_search.py", "--replay", str(file), "--data-dir", "/my data"]


def test_a_confirmation_comes_along_and_is_read_back(tmp_path):
    spec = a_spec(export_dir=str(tmp_path / "best_configs"))
    folder = SearchFolder(tmp_path / "searches" / spec.name)
    folder.write_environment(ENVIRONMENT)
    confirmation = made_confirmation(WINNER.trial)
    path = export_best(spec, WINNER, TEST, folder, confirmation=confirmation)
    assert Export.read(path).confirmation == confirmation
    head = [line for line in path.read_text().splitlines() if line.startswith("# ")]
    assert f"# {confirmation.verdict}" in head
    assert f"# {confirmation.choice}" in head
    older = parse_yaml(path.read_text(), "text").data
    del older["confirmation"]
    path.write_text(to_yaml(older))
    assert Export.read(path).confirmation is None
    older["confirmation"] = {"trial": "0003"}
    path.write_text(to_yaml(older))
    with pytest.raises(UserError, match=r"GRCN-tiktok-mg\.yaml: confirmation\.experiment: Field required"):
        Export.read(path)


def test_counts_trials_by_status_without_the_baseline(tmp_path):
    folder = SearchFolder(tmp_path / "searches" / "s")
    folder.path.mkdir(parents=True)
    for name, status in (("0000", "finished"), ("0001", "pruned"), ("0002", "pruned"), (BASELINE, "finished")):
        folder.append_record(
            replace(WINNER, trial=name, role="baseline" if name == BASELINE else "search", status=status)
        )
    search = Export.read(exported(tmp_path, a_spec())).search
    assert search.trials == {"finished": 1, "pruned": 2, "failed": 0}
    assert (search.name, search.sampler, search.scheduler) == ("s", "auto", "asha")


def test_counts_the_values_that_the_sampler_was_told(tmp_path):
    known = [{"point": {}, "source": "old/0000", "value": 0.5}, {"point": {}, "source": "old/0000"}]
    assert Export.read(exported(tmp_path, a_spec(warm_start={"points": known}))).search.told == 1


def test_a_pruned_winner_is_called_so(tmp_path):
    path = exported(tmp_path, a_spec(), replace(WINNER, status="pruned"))
    assert "stopped early, after 57 epochs" in path.read_text()
    assert "stopped early" not in exported(tmp_path, a_spec()).read_text()


@pytest.mark.parametrize(
    ("dataset", "strategy", "name"),
    [
        ("synthetic:clothing", "mg", "GRCN-synthetic-clothing-mg.yaml"),
        ("my set/2", "sam+mg", "GRCN-my-set-2-sam+mg.yaml"),
        (r"..\a*b", "plain", "GRCN-..-a-b-plain.yaml"),
    ],
)
def test_file_names_are_safe(dataset, strategy, name):
    assert export_name(a_spec(dataset=dataset, strategy=strategy)) == name


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seed: 999", "seed: 999\nsede: 1", ":25: sede: Extra inputs"),
        ("  best_epoch: 36", "  best_epoch: zero", ":27: training.best_epoch: "),
        ("  train:\n", "  trian:\n", ": parameters.trian"),
        ("model: GRCN", "model: [GRCN", ":7: not valid YAML: "),
        ("format: 1", "format: 2", ": written by another version of MirrorTune (format 2, this one reads 1): "),
    ],
)
def test_a_fault_is_one_line_with_file_and_key(tmp_path, old, new, message):
    path = exported(tmp_path, a_spec())
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(UserError) as error:
        Export.read(path)
    assert str(error.value).startswith(f"{path}{message}")
    assert "\n" not in str(error.value)


def test_a_file_that_is_no_text_or_not_there_is_one_line(tmp_path):
    path = tmp_path / "weights.safetensors"
    with pytest.raises(UserError, match=r"weights\.safetensors: No such file"):
        Export.read(path)
    path.write_bytes(b"\x10\x00\xff\xfe")
    with pytest.raises(UserError, match=r"weights\.safetensors: not UTF-8 text"):
        Export.read(path)
    with pytest.raises(UserError, match="directory"):
        Export.read(tmp_path)


def test_the_toolbox_gets_its_own_keys(tmp_path):
    path = exported(tmp_path, a_spec(export_format="mmrec"))
    text = path.with_name("GRCN-tiktok-mg-mmrec.yaml").read_text()
    assert parse_yaml(text, "text").data == {
        "alpha1": [1.0],
        "alpha2": [0.1 + 0.2],
        "beta": [3],
        "learning_rate": [1e-05],
        "train_batch_size": 2048,
        "learner": "adam",
        "weight_decay": 0.0,
        "embedding_size": 64,
        "reg_weight": [1 / 3],
        "n_layers": [2],
        "seed": [999],
        "hyper_parameters": ["alpha1", "alpha2", "beta", "learning_rate", "reg_weight", "n_layers", "seed"],
        "epochs": 1000,
        "stopping_step": 20,
        "valid_metric": "Recall@20",
        "topk": [5, 10, 20, 50],
        "inter_file_name": "tiktok.inter",
    }
    assert "beta here is the interval" in text


@pytest.mark.parametrize(("patience", "every", "step"), [(20, 5, 4), (20, 3, 6), (2, 5, 0)])
def test_the_toolbox_s_patience_counts_evaluations(tmp_path, patience, every, step):
    """It stops after `stopping_step` + 1 of them without improvement, which is after more than `patience` epochs."""
    path = exported(tmp_path, a_spec(export_format="mmrec", training=Training(patience=patience, eval_every=every)))
    text = path.with_name("GRCN-tiktok-mg-mmrec.yaml").read_text()
    data = parse_yaml(text, "text").data
    assert (data["eval_step"], data["stopping_step"]) == (every, step)
    assert every * step <= patience < every * (step + 1)
    assert "the last epoch is not evaluated" in text


def test_the_second_file_is_written_only_for_its_format(tmp_path):
    exported(tmp_path, a_spec())
    assert [path.name for path in (tmp_path / "best_configs").glob("[!.]*")] == ["GRCN-tiktok-mg.yaml"]


@pytest.mark.parametrize("dataset", ["demo", "synthetic:clothing"])
def test_plain_training_has_no_mirror_keys_and_made_data_no_file(tmp_path, dataset):
    record = replace(WINNER, params=WINNER.params | {"strategy": {}})
    export = Export.read(exported(tmp_path, a_spec(strategy="plain", dataset=dataset), record))
    settings = parse_yaml(to_mmrec(export), "text").data
    assert not {"alpha1", "alpha2", "beta", "inter_file_name"} & settings.keys()
    assert settings["hyper_parameters"] == ["learning_rate", "reg_weight", "n_layers", "seed"]
    assert "Mirror" not in to_mmrec(export)


def test_names_what_the_toolbox_has_no_key_for(tmp_path):
    record = replace(WINNER, params=WINNER.params | {"train": {"warmup": 1.0}})
    text = to_mmrec(Export.read(exported(tmp_path, a_spec(), record)))
    assert "left out: train.warmup." in text
    assert "warmup" not in parse_yaml(text, "text").data


@pytest.mark.parametrize(("model", "name"), [("SelfCF", "SELFCFED_LGN"), ("GRCN", None)])
def test_a_model_that_has_another_name_there_is_named(tmp_path, model, name):
    text = to_mmrec(Export.read(exported(tmp_path, a_spec(model=model))))
    assert ("There the model is called" in text) == (name is not None)
    assert name is None or name in text


def test_what_the_toolbox_fixes_has_no_key(tmp_path):
    own = {"variant": "benchmark", "user_graph_k": 40, "latent_size": 256, "ssl_task": "fac"}
    record = replace(WINNER, params=WINNER.params | {"model": {**own, "reg_weight": 0.5}})
    text = to_mmrec(Export.read(exported(tmp_path, a_spec(), record)))
    assert not own.keys() & parse_yaml(text, "text").data.keys()
    assert "left out" not in text


def test_a_model_whose_rate_falls_in_the_toolboxs_own_keys(tmp_path):
    """With other names of its parameters; a penalty over another number than the batch's has no key there."""
    model = {"n_mm_layers": 1, "cl_weight": 0.03, "reg_batch_size": 512}
    params = {"train": {"lr_decay": 0.96, "lr_decay_epochs": 50, "batch_size": 512}, "model": model}
    record = replace(WINNER, params=WINNER.params | params)
    settings = parse_yaml(to_mmrec(Export.read(exported(tmp_path, a_spec(model="MGCN"), record))), "text").data
    assert settings["learning_rate_scheduler"] == [0.96, 50]
    assert (settings["n_layers"], settings["cl_loss"], settings["train_batch_size"]) == ([1], [0.03], 512)
    assert not {"reg_batch_size", "lr_decay", "cl_weight", "n_mm_layers"} & settings.keys()
    record = replace(WINNER, params=WINNER.params | params | {"model": model | {"reg_batch_size": 2048}})
    with pytest.raises(UserError, match="export format mmrec: reg_batch_size: expected one of 512, but got 2048"):
        to_mmrec(Export.read(exported(tmp_path, a_spec(model="MGCN"), record)))


def test_layers_that_the_toolbox_has_as_a_list_are_the_usual_ones(tmp_path):
    def exported_with(n):
        record = replace(WINNER, params=WINNER.params | {"model": {"n_ui_layers": n, "n_mm_layers": 1}})
        return to_mmrec(Export.read(exported(tmp_path, a_spec(model="LATTICE"), record)))

    assert parse_yaml(exported_with(2), "text").data["n_layers"] == [1]
    with pytest.raises(UserError, match="export format mmrec: n_ui_layers: expected one of 2, but got 3"):
        exported_with(3)


@pytest.mark.parametrize(("name", "value"), [("variant", "paper"), ("user_graph_k", 10), ("ssl_task", "fd")])
def test_refuses_a_model_that_the_toolbox_does_not_have(tmp_path, name, value):
    record = replace(WINNER, params=WINNER.params | {"model": {name: value}})
    with pytest.raises(UserError, match=rf"^export format mmrec: {name}: expected one of \w+, but got {value!r}$"):
        to_mmrec(Export.read(exported(tmp_path, a_spec(), record)))
    with pytest.raises(UserError, match=r"^export format mmrec: model: Popularity is not one of theirs$"):
        to_mmrec(Export.read(exported(tmp_path, a_spec(model="Popularity"))))
    with pytest.raises(UserError, match=r"^export format mmrec: model: MVGAE would be trained differently: its kl_"):
        to_mmrec(Export.read(exported(tmp_path, a_spec(model="MVGAE"))))


def test_the_toolbox_has_one_model_without_training(tmp_path):
    assert to_mmrec(Export.read(exported(tmp_path, a_spec(model="ItemKNNCBF"))))


@pytest.mark.parametrize(
    ("fields", "optimizer", "message"),
    [
        ({"strategy": "sam"}, "adam", "strategy: expected one of plain, mg, but got 'sam'"),
        ({}, "adamw", "optimizer: expected one of adam, sgd, rmsprop, adagrad, but got 'adamw'"),
        ({"training": Training(metric="hit@10")}, "adam", "metric: expected one of recall, .* but got 'hit'"),
    ],
)
def test_refuses_what_the_toolbox_would_train_differently(tmp_path, fields, optimizer, message):
    record = replace(WINNER, params=WINNER.params | {"train": {"optimizer": optimizer}})
    spec = a_spec(export_format="mmrec", **fields)
    with pytest.raises(UserError, match=f"export format mmrec: {message}"):
        exported(tmp_path, spec, record)
    assert Export.read(tmp_path / "best_configs" / export_name(spec)).seed == 999  # ours is written all the same


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("model: GRCN", "model: GRCM", "model: there is no model 'GRCM'; did you mean 'GRCN'?"),
        ("strategy: mg", "strategy: gm", "strategy gm: there is no strategy 'gm'; "),
        ("n_layers: 2", "n_layer: 2", ": model: no parameter 'n_layer'; did you mean 'n_layers'?"),
        ("n_layers: 2", "n_layers: 2.5", "n_layers must be a whole number, but got 2.5"),
        ("n_layers: 2", "n_layers: true", "n_layers must be a whole number, but got True"),
        ("alpha: 1.0", "alpha: 0.1", "0 <= beta < alpha must hold, but got alpha=0.1, beta="),
        ("optimizer: adam", "optimizer: adma", "optimizer must be one of adam, "),
        ("    batch_size: 2048\n", "", "parameters.train: batch_size is missing"),
        ("  model:\n", "", "parameters: model is missing"),
        ("alpha: 1.0", "alpha: one", "alpha must be a finite number, but got 'one'"),
        ("alpha: 1.0", "alpha: true", "alpha must be a finite number, but got True"),
        ("alpha: 1.0", "alpha: {type: uniform, low: 0.5, high: 1}", "alpha: value must be text, true, false or"),
        ("interval: 3", "intervall: 3", ": strategy: no parameter 'intervall'; did you mean 'interval'?"),
        ("weight_decay: 0.0", "weight_decay: none", "weight_decay must be a finite number, but got 'none'"),
        ("weight_decay: 0.0", "weight_decay: -1", "weight_decay >= 0 must hold, but got weight_decay=-1"),
        ("weight_decay: 0.0", "weight_decay:", "weight_decay: value must be text, true, false or a finite number"),
        ("metric: recall@20", "metric: recall", "training.metric: expected one of recall, "),
        ("    n_layers: 2", "    n_layers: 2001-99-99", "not valid YAML: month must be in 1..12"),
    ],
)
def test_a_file_changed_by_hand_cannot_be_trained(tmp_path: Path, old: str, new: str, fault: str) -> None:
    path = exported(tmp_path, a_spec())
    read_trainable(path)
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    with pytest.raises(UserError) as error:
        read_trainable(path)
    assert re.match(rf"{re.escape(str(path))}(:\d+)?( and .*)?: ", str(error.value))
    assert fault in str(error.value)
    assert "\n" not in str(error.value)


def test_a_number_written_with_an_exponent_is_a_number(tmp_path: Path) -> None:
    path = exported(tmp_path, a_spec())
    path.write_text(path.read_text().replace("learning_rate: 1.0e-05", "learning_rate: 1e-5"))
    assert read_trainable(path) == Export.read(exported(tmp_path / "other", a_spec()))


def test_a_section_that_is_missing_is_named(tmp_path: Path) -> None:
    path = exported(tmp_path, a_spec())
    text = path.read_text()
    path.write_text(text[: text.index("  strategy:\n")] + text[text.index("  train:\n") :])
    with pytest.raises(UserError, match=r"yaml:\d+: parameters: strategy is missing$"):
        read_trainable(path)


def test_a_file_from_before_versions_is_read(tmp_path: Path) -> None:
    path = exported(tmp_path, a_spec())
    newer = read_trainable(path)
    path.write_text(path.read_text().replace("format: 1\n", ""))
    assert read_trainable(path) == newer


def test_an_export_from_before_versions_is_read(tmp_path):
    path = exported(tmp_path, a_spec())
    export = Export.read(path)
    path.write_text(path.read_text().replace("format: 1\n", ""))
    assert Export.read(path) == export
    path.write_text(path.read_text() + "format: 2\n")
    with pytest.raises(UserError, match=r"written by another version of MirrorTune \(format 2, this one reads 1\)"):
        Export.read(path)
