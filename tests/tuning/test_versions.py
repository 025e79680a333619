"""Format versions of the files of a search."""

from typing import Any

import pytest

from recmodels.errors import UserError
from tuning.versions import FORMAT, check_format


@pytest.mark.parametrize("content", [{}, {"format": FORMAT}, {"other": 2}])
def test_the_current_version_and_files_older_than_versions_are_read(content: dict[str, Any]) -> None:
    check_format(content, "spec.yaml")


@pytest.mark.parametrize("found", [0, 2, "1", None, True, [1]])
def test_another_version_is_one_line_that_says_what_to_do(found: Any) -> None:
    with pytest.raises(UserError) as error:
        check_format({"format": found}, "spec.yaml")
    assert str(error.value) == (
        f"spec.yaml: written by another version of MirrorTune (format {found!r}, this one reads 1): "
        "use that version, or start a new search"
    )
