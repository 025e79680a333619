"""Extract the rows of some products from Amazon's binary image features, gigabytes in size, in constant memory."""

from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from recmodels.errors import DataError
from recmodels.files import reading
from recmodels.prepare.progress import bytes_bar

WIDTH = 4096  # float32 values of a record
ASIN = 10  # bytes before them
BLOCK = 512  # records at a time: 8 MB


def read_image_features(path: Path, rows: Mapping[str, int], out: Path, width: int = WIDTH) -> int:
    """Write row `rows[asin]` of the float32 matrix `out` (raw, C order, `len(rows)` x `width`) for each record of the
    binary file whose asin is wanted; rows without a record become the mean of the others. Return their number.

    A record is an asin, ten ASCII letters and digits, and `width` little-endian float32. Of several records of an asin
    the first one counts. Raises DataError for a file that is no whole number of records, a record that does not begin
    with an asin, holds NaN or infinity, or if no wanted asin is found; OSError if `out` cannot be written.
    """
    record = np.dtype([("asin", f"S{ASIN}"), ("values", "<f4", (width,))])
    n_records = _check_size(path, record.itemsize, width)
    wanted = {asin.encode(): row for asin, row in rows.items()}
    found = np.zeros(len(rows), dtype=bool)
    total = np.zeros(width)
    with path.open("rb") as source, out.open("wb") as target, bytes_bar(path.name, path.stat().st_size) as show:
        for first in range(0, n_records, BLOCK):
            block = np.fromfile(source, record, min(BLOCK, n_records - first))
            asins = block["asin"].tolist()
            _check_asins(path, asins, first, width)
            for index, asin in enumerate(asins):
                row = wanted.get(asin)
                if row is not None and not found[row]:
                    values = block["values"][index]
                    _check_finite(path, values, first + index)
                    found[row] = True
                    total += values
                    _write_row(target, row, values)
            show(source.tell())
        if not found.any():
            raise DataError(f"{path}: none of its {n_records} records is of one of the {len(rows)} wanted items")
        mean = (total / found.sum()).astype("<f4")
        for row in np.flatnonzero(~found).tolist():
            _write_row(target, row, mean)
    return int((~found).sum())


def _check_size(path: Path, record: int, width: int) -> int:
    with reading(path):
        size = path.stat().st_size
    if not size or size % record:
        expected = f"a multiple of {record}, the size of a record of {ASIN} bytes and {width} float32"
        raise DataError(f"{path}: {size} bytes, expected {expected}; the file is cut off or of another width")
    return size // record


def _check_asins(path: Path, asins: list[bytes], first: int, width: int) -> None:
    for index, asin in enumerate(asins):
        if not (len(asin) == ASIN and asin.isalnum()):
            raise DataError(
                f"{path}: record {first + index} (from 0) begins with {asin!r}, expected ten letters and digits: "
                f"the file is damaged or its features are not of width {width}"
            )


def _check_finite(path: Path, values: NDArray[np.float32], number: int) -> None:
    bad = ~np.isfinite(values)
    if bad.any():
        column = int(bad.argmax())
        raise DataError(f"{path}: record {number} (from 0), value {column} is {values[column]}, expected a finite one")


def _write_row(target: BinaryIO, row: int, values: NDArray[np.float32]) -> None:
    target.seek(row * values.nbytes)
    target.write(values.tobytes())
