"""Times of interactions are ISO 8601 dates or numbers; another form is one line that says so."""

from pathlib import Path

import pyarrow as pa
import pytest

from recmodels.errors import DataError
from recmodels.prepare.times import as_times


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["2024-01-31", "2024-01-31T00:00:01"], [1706659200, 1706659201]),
        (["2024/01/31", "2024-01-31 00:00:00.5+00:00"], [1706659200 * 10**6, 1706659200 * 10**6 + 500_000]),
        (["1706659200", "-1"], [1706659200, -1]),
        (["1706659200123456789", "1"], [1706659200123456789, 1]),
        (["1e3", "2.5"], [1000 * 10**6, 2_500_000]),
    ],
)
def test_times_are_dates_or_numbers(tmp_path: Path, cells: list[str], expected: list[int]) -> None:
    assert as_times(tmp_path, "time", pa.chunked_array([cells])).tolist() == expected


@pytest.mark.parametrize(
    ("cells", "row"),
    [
        (["31.01.2024"], 1),
        (["01/31/2024"], 1),
        (["Jan 31, 2024"], 1),
        (["2024-01-31", "1706659200.5x"], 2),
        (["1706659200", "2024-01-31"], 2),
        (["2024-01-31", ""], 2),
        (["1", "inf"], 2),
        (["0x10"], 1),
    ],
)
def test_a_time_of_another_form_is_told_which_are_read(tmp_path: Path, cells: list[str], row: int) -> None:
    with pytest.raises(DataError) as caught:
        as_times(tmp_path, "time", pa.chunked_array([cells]))
    forms = "expected a date such as 2024-01-31 or 2024-01-31T12:30:00, or a number such as 1706704200"
    assert str(caught.value) == f"{tmp_path}: row {row}: time is {cells[row - 1]!r}, {forms}"
