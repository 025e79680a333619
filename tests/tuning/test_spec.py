"""A search as one checked value: what it refuses, what it says on disk, and what comes back."""

import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from recmodels.errors import UserError
from recmodels.metric import NAMES
from tests.tuning.factories import made_spec
from tuning.checked_file import check_format, first_fault
from tuning.space import Space
from tuning.spec import (
    Budget,
    Resources,
    Scheduler,
    SearchSpec,
    Tracking,
    Training,
)


def fault(**changes: Any) -> str:
    with pytest.raises(ValidationError) as error:
        made_spec(**changes)
    return first_fault(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modle": "VBPR"}, "modle: Extra inputs are not permitted, but got 'VBPR'"),
        ({"budget": {"trails": 3}}, "budget.trails: Extra inputs are not permitted, but got 3"),
        ({"scheduler": {"name": "asha", "gracce": 0.5}}, "scheduler.gracce: Extra inputs"),
        ({"sampler": "gpp"}, "sampler: Input should be 'auto', 'gp'"),
        ({"scheduler": {"name": "pbt"}}, "scheduler.name: Input should be 'asha', 'hyperband', 'median' or 'none'"),
        ({"name": "../other"}, "name: String should match pattern"),
        ({"name": "a/b"}, "name: String should match pattern"),
        ({"name": "x" * 101}, "name: String should match pattern"),
        ({"budget": {"trials": 0}}, "budget.trials: Input should be greater than or equal to 1, but got 0"),
        ({"budget": {"seconds": 0}}, "budget.seconds: Input should be greater than 0, but got 0"),
        ({"budget": {"epochs": 1.5}}, "budget.epochs: Input should be a valid integer"),
        ({"training": {"max_epochs": "many"}}, "training.max_epochs: Input should be a valid integer"),
        ({"training": {"patience": -1}}, "training.patience: Input should be greater than or equal to 0"),
        ({"training": {"ks": [5, 0]}}, "training.ks.1: Input should be greater than or equal to 1, but got 0"),
        ({"training": {"seed": 2**31}}, "training.seed: Input should be less than 2147483648"),
        ({"scheduler": {"grace": 0}}, "scheduler.grace: Input should be greater than 0"),
        ({"scheduler": {"grace": 1.1}}, "scheduler.grace: expected a share of the most epochs, up to 1, or a whole"),
        ({"scheduler": {"reduction": 1}}, "scheduler.reduction: Input should be greater than 1"),
        ({"resources": {"gpus_per_trial": -0.5}}, "resources.gpus_per_trial: Input should be greater than or equal"),
        ({"resources": {"gpus_per_trial": 1.5}}, "resources.gpus_per_trial: expected a share of one GPU"),
        ({"resources": {"gpus_per_trial": 1e-5}}, "resources.gpus_per_trial: expected a share of one GPU"),
        ({"tracking": {"experiment": ""}}, "tracking.experiment: String should have at least 1 character"),
    ],
)
def test_a_fault_is_one_line_with_its_place(changes: dict[str, Any], message: str) -> None:
    found = fault(**changes)
    assert found.startswith(message)
    assert "\n" not in found


def test_the_share_of_a_card_may_be_left_to_a_probe() -> None:
    spec = made_spec(resources={"gpus_per_trial": "auto"})
    assert SearchSpec.model_validate(spec.model_dump(mode="json")) == spec
    assert (spec.resources.gpus_per_trial, spec.resources.gpus) == ("auto", None)
    given = made_spec(resources={"gpus_per_trial": "0.25"})
    assert given.resources.gpus_per_trial == given.resources.gpus == 0.25


@pytest.mark.parametrize("place", ["budget.seconds", "scheduler.reduction", "resources.gpus_per_trial"])
@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_number_that_is_not_finite_is_refused(place: str, value: str) -> None:
    section, field = place.split(".")
    assert fault(**{section: {field: value}}).startswith(f"{place}: ")


def test_a_misspelt_key_is_named_before_the_missing_one() -> None:
    with pytest.raises(ValidationError) as error:
        SearchSpec.model_validate({"name": "s", "modell": "VBPR", "dataset": "demo", "space": {}})
    assert len(error.value.errors()) == 2
    assert first_fault(error.value) == "modell: Extra inputs are not permitted, but got 'VBPR'"


def test_a_missing_key_quotes_no_input_and_no_mapping_is_a_fault_of_the_spec() -> None:
    with pytest.raises(ValidationError) as error:
        SearchSpec.model_validate({"name": "s", "dataset": "demo", "space": {}})
    assert first_fault(error.value) == "model: Field required"
    with pytest.raises(ValidationError) as error:
        SearchSpec.model_validate(["name"])
    assert first_fault(error.value).startswith("spec: ")


@pytest.mark.parametrize("name", NAMES)
def test_every_metric_with_a_cutoff_is_known(name: str) -> None:
    assert Training(metric=f"{name}@7").cutoffs == (5, 7, 10, 20, 50)


@pytest.mark.parametrize(
    "metric", ["recall", "recall@", "recall@0", "recall@05", "Recall@20", "auc@20", "recall@2x", ""]
)
def test_a_metric_needs_a_known_name_and_a_cutoff(metric: str) -> None:
    assert f"and a cut-off, like recall@20, but got {metric!r}" in fault(training={"metric": metric})


def test_the_nearest_metric_is_named() -> None:
    assert fault(training={"metric": "NDGC@7"}).endswith("but got 'NDGC@7'; did you mean 'ndcg@7'?")
    assert fault(training={"metric": "recal@0"}).endswith("but got 'recal@0'")


@pytest.mark.parametrize(
    ("changes", "near"),
    [({"sampler": "tpee"}, "tpe"), ({"scheduler": {"name": "hyperbnad"}}, "hyperband"), ({"role": "serach"}, "search")],
)
def test_the_nearest_of_some_texts_is_named(changes: dict[str, Any], near: str) -> None:
    assert fault(**changes).endswith(f"; did you mean {near!r}?")


def test_cutoffs_ascend_without_repeats() -> None:
    assert Training(ks=(50, 5, 5), metric="ndcg@5").cutoffs == (5, 50)
    assert Training(ks=(), metric="ndcg@3").cutoffs == (3,)


def test_a_spec_cannot_be_changed() -> None:
    spec = made_spec()
    with pytest.raises(ValidationError, match="frozen"):
        spec.budget.trials = 3


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            "space": {"strategy": {"alpha": {"type": "uniform", "low": 0.6, "high": 0.1 + 0.2 + 0.5}, "interval": 3}},
            "budget": {"trials": 7, "seconds": 0.1, "epochs": 9},
            "training": {"ks": [3, 1], "metric": "map@7", "seed": 0},
            "resources": {"gpus_per_trial": 0.25},
            "tracking": {"uri": None, "experiment": "größer: #1"},
            "data_dir": "1e-4",
            "output_dir": "no",
            "baseline": True,
        },
    ],
)
def test_yaml_says_the_whole_spec(tmp_path: Path, changes: dict[str, Any]) -> None:
    spec = made_spec(**changes)
    path = tmp_path / "spec.yaml"
    path.write_text(spec.to_yaml(), encoding="utf-8")
    assert SearchSpec.read(path) == spec


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: s\nmodel: [VBPR", ":2: not valid YAML: "),
        ("format: 1\nname: s\nnmae: t\n", ":3: nmae: Extra inputs"),
        ("name: s\nname: t\n", ":2: not valid YAML: while constructing a mapping, found duplicate key "),
        (
            "format: 2\n",
            ": written by another version of MirrorTune (format 2, this one reads 1): use",
        ),
        ("", ": spec: "),
        ("just text", ": spec: "),
    ],
)
def test_a_file_that_is_no_spec_is_one_line_with_its_name(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        SearchSpec.read(path)
    assert str(error.value).startswith(f"{path}{message}")
    assert "\n" not in str(error.value)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"spec\.yaml: No such file or directory, expected the spec of a search$"):
        SearchSpec.read(tmp_path / "spec.yaml")


def test_a_space_is_held_as_one_and_says_its_own_faults(tmp_path: Path) -> None:
    spec = made_spec(space={"train": {"learning_rate": 0.5}})
    assert spec.space == Space.from_data({"train": {"learning_rate": 0.5}})
    assert made_spec(space=spec.space).space is spec.space
    assert fault(space={"train": {"a": []}}).startswith("space: a: value must be text, true, false or a finite number")
    path = tmp_path / "spec.yaml"
    path.write_text(spec.to_yaml().replace("learning_rate: 0.5", "learning_rate: {type: uniform}"))
    with pytest.raises(UserError, match=r"spec\.yaml:\d+: space: learning_rate: uniform needs high, low$"):
        SearchSpec.read(path)


@pytest.mark.parametrize("found", [0, 2, "1", None, True, [1]])
def test_another_version_is_one_line_that_says_what_to_do(found: Any) -> None:
    with pytest.raises(UserError) as error:
        check_format(found, "spec.yaml")
    assert str(error.value) == (
        f"spec.yaml: written by another version of MirrorTune (format {found!r}, this one reads 1): "
        "use that version, or start a new search"
    )


def test_a_search_from_before_versions_is_one_line(tmp_path: Path) -> None:
    path, spec = tmp_path / "spec.yaml", made_spec()
    path.write_text(spec.to_yaml())
    assert SearchSpec.read(path) == spec
    path.write_text(spec.to_yaml().removeprefix("format: 1\n") + "repeat_seeds: false\n")
    with pytest.raises(UserError, match=r"spec.yaml: written by another version of MirrorTune \(format 0, this one"):
        SearchSpec.read(path)


@pytest.mark.parametrize("part", [Budget, Training, Scheduler, Resources, Tracking, SearchSpec])
def test_every_field_has_a_text_for_help(part: type[BaseModel]) -> None:
    for name, field in part.model_fields.items():
        is_part = isinstance(field.default, BaseModel)
        assert is_part or (field.description and not field.description.endswith(".")) or name == "format", name


def test_samplers_and_schedulers_of_the_spec_are_those_that_exist() -> None:
    from tuning.execution.ray_tune.pruning import SCHEDULERS
    from tuning.proposals.study import SAMPLERS

    assert set(get_args(SearchSpec.model_fields["sampler"].annotation)) == {"auto", *SAMPLERS}
    assert set(get_args(Scheduler.model_fields["name"].annotation)) == {*SCHEDULERS}


@pytest.mark.parametrize("module", ["spec", "space", "export", "export.model", "export.mmrec", "commandlines"])
def test_values_load_nothing_heavy(module: str) -> None:
    heavy = "{'torch', 'ray', 'mlflow', 'optuna', 'pandas', 'numpy'}"
    code = f"import sys, tuning.{module}; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], timeout=900).returncode == 0


@pytest.mark.parametrize(
    ("grace", "most", "epochs"),
    [
        (None, 1000, 10),
        (None, 20, 10),
        (None, 3, 2),
        (None, 1, 1),
        (0.5, 1000, 500),
        (1.0, 7, 7),
        (0.1, 4, 1),
        (2, 9, 2),
    ],
)
def test_grace_is_a_share_or_a_number_of_epochs(grace: float | None, most: int, epochs: int) -> None:
    """By default ten epochs, or half of a trial that has fewer than twenty."""
    assert Scheduler(grace=grace).grace_epochs(most) == epochs
