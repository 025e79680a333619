"""Read the times of interactions."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recmodels.data.formats.tables import as_text, is_text_type
from recmodels.errors import DataError

if TYPE_CHECKING:
    import pyarrow

FORMS = "a date such as 2024-01-31 or 2024-01-31T12:30:00, or a number such as 1706704200"


def as_times(path: Path, name: str, column: "pyarrow.ChunkedArray") -> NDArray[np.int64]:
    """Return integers, (n,): numbers as they are, ISO 8601 dates in seconds since 1970; in millionths unless all are
    whole.

    Raises DataError, which names file and row, for anything else, and for dates among numbers.
    """
    import pyarrow as pa

    if (whole := _as_whole(column)) is not None:  # a float would round nanoseconds
        return whole
    texts = as_text(path, name, column)
    dated = bool({"-", "/"} & {*texts[0][1:]}) and not pd.isna(
        pd.to_datetime(texts[0], format="ISO8601", utc=True, errors="coerce")
    )
    if pa.types.is_temporal(column.type) or dated:
        dates = pd.to_datetime(pd.Series(texts, dtype=object), format="ISO8601", utc=True, errors="coerce")
        missing = dates.isna().to_numpy()
        seconds = (dates - pd.Timestamp(0, tz="UTC")).dt.total_seconds().to_numpy()
    else:
        seconds = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce").to_numpy(dtype=np.float64)
        missing = ~np.isfinite(seconds)
    if missing.any():
        row = int(missing.argmax())
        raise DataError(f"{path}: row {row + 1}: {name} is {texts[row]!r}, expected {FORMS}")
    scale = 1 if (np.floor(seconds) == seconds).all() else 10**6
    if np.abs(seconds).max() * scale > 2**62:
        raise DataError(f"{path}: {name} is up to {np.abs(seconds).max():g}, expected a time")
    return np.round(seconds * scale).astype(np.int64)


def _as_whole(column: "pyarrow.ChunkedArray") -> NDArray[np.int64] | None:
    """Return a column of whole numbers, or of text that is, as integers; None for any other."""
    import pyarrow as pa
    import pyarrow.compute as pc

    digits = is_text_type(column.type) and pc.all(pc.match_substring_regex(column, "^-?[0-9]+$")).as_py()
    if column.null_count or not (digits or pa.types.is_integer(column.type)):
        return None
    try:
        return np.asarray(column.cast(pa.int64()).to_numpy())
    except pa.ArrowInvalid:  # beyond 64 bits
        return None
