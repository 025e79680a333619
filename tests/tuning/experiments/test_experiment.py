"""An experiment as a file."""

from pathlib import Path

import pytest

from recmodels.errors import UserError
from tuning.experiments.experiment import Experiment
from tuning.yaml_document import to_yaml


@pytest.mark.parametrize("name", ["comparison.yaml", "experiment.yaml"])
def test_a_file_that_is_no_experiment(here: Path, name: str) -> None:
    (here / name).write_text(to_yaml({"format": 1, "name": "c"}))
    with pytest.raises(UserError, match=rf"{name}: searches: Field required"):
        Experiment.in_folder(here)
