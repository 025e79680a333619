"""A comparison as a file."""

from pathlib import Path

import pytest

from recmodels.errors import UserError
from tuning.experiments.comparison import Comparison
from tuning.yaml_document import to_yaml


def test_a_file_that_is_no_comparison(here: Path) -> None:
    (here / "comparison.yaml").write_text(to_yaml({"format": 1, "name": "c"}))
    with pytest.raises(UserError, match=r"comparison\.yaml: searches: Field required"):
        Comparison.read(here / "comparison.yaml")
