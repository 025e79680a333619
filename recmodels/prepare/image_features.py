"""Extract the rows of some products from Amazon's binary image features, gigabytes in size, in constant memory."""

import logging
from collections.abc import Iterator, Mapping
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

log = logging.getLogger("mirrortune.prepare")


def read_image_features(path: Path, rows: Mapping[str, int], out: Path, width: int = WIDTH) -> int:
    """Write the records of the wanted products to the file `out`; return the number of products without a record.

    `rows`: asin -> row of the float32 matrix (len(rows), `width`) that `out` holds, raw, in C order. Rows without a
    record become the mean of the others. A record is an asin, ten ASCII letters and digits, and `width` little-endian
    float32. Of several records of an asin the first one counts; a record that holds NaN counts as none, with a warning.
    Raises DataError for a file that is not a whole number of records, for a record that does not begin with an asin or
    holds infinity, and if no wanted asin is found; OSError if `out` cannot be written.
    """
    wanted = {asin.encode(): row for asin, row in rows.items()}
    found = np.zeros(len(rows), dtype=bool)
    total, n_with_nan = np.zeros(width), 0
    with out.open("wb") as target:
        for number, asin, values in _records(path, width):
            row = wanted.get(asin)
            if row is None or found[row]:
                continue
            bad = np.isinf(values)
            if bad.any():
                fault = f"value {bad.argmax()} is {values[bad.argmax()]}, expected a finite one"
                raise DataError(f"{path}: record {number} (from 0), {fault}")
            if np.isnan(values).any():
                n_with_nan += 1
                continue
            found[row] = True
            total += values
            _write_row(target, row, values)
        if n_with_nan:
            log.warning("%s: %d records of the items have missing values (NaN) and count as none", path, n_with_nan)
        if not found.any():
            raise DataError(f"{path}: none of its {number + 1} records is of one of the {len(rows)} wanted items")
        mean = (total / found.sum()).astype("<f4")
        for row in np.flatnonzero(~found).tolist():
            _write_row(target, row, mean)
    return int((~found).sum())


def _records(path: Path, width: int) -> Iterator[tuple[int, bytes, NDArray[np.float32]]]:
    """Yield number (from 0), asin and values (width,) of each record, at least one. Raises DataError."""
    record = np.dtype([("asin", f"S{ASIN}"), ("values", "<f4", (width,))])
    with reading(path):
        size = path.stat().st_size
    if not size or size % record.itemsize:
        expected = f"a multiple of {record.itemsize}, the size of a record of {ASIN} bytes and {width} float32"
        raise DataError(f"{path}: {size} bytes, expected {expected}; the file is cut off or of another width")
    with path.open("rb") as source, bytes_bar(path.name, size) as show:
        for first in range(0, size // record.itemsize, BLOCK):
            block = np.fromfile(source, record, BLOCK)
            for number, asin in enumerate(block["asin"].tolist(), start=first):
                if not (len(asin) == ASIN and asin.isalnum()):
                    fault = f"record {number} (from 0) begins with {asin!r}, expected ten letters and digits"
                    raise DataError(f"{path}: {fault}: the file is damaged or its features are not of width {width}")
                yield number, asin, block["values"][number - first]
            show(source.tell())


def _write_row(target: BinaryIO, row: int, values: NDArray[np.float32]) -> None:
    target.seek(row * values.nbytes)
    target.write(values.tobytes())
