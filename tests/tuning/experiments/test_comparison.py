"""A comparison as a file."""

from pathlib import Path

import pytest
import yaml

from recmodels.errors import UserError
from tuning.experiments.comparison import Comparison


def test_a_file_that_is_no_comparison(here: Path) -> None:
    (here / "comparison.yaml").write_text(yaml.safe_dump({"name": "c"}))
    with pytest.raises(UserError, match=r"comparison\.yaml: searches: Field required"):
        Comparison.read(here)
