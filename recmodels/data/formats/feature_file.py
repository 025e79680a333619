"""Load a .npy of features as a finite float32 matrix. Its header is checked first, and a pickle is never opened."""

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recmodels.errors import DataError

log = logging.getLogger("mirrortune.data")


def load_features(path: Path, n_items: int | None = None) -> NDArray[np.float32]:
    """Load rows 0 to n_items - 1 (default: all) of the .npy at `path`, float32 (n_items, dim), C-contiguous.

    Row i belongs to item i; further rows are cut off with a warning. Raises DataError for a file that is not a plain
    float16, float32 or float64 matrix, is truncated, has fewer rows, or holds NaN or infinity (also after the cast to
    float32).
    """
    shape = _checked_shape(path)
    n_items = n_items or max(1, shape[0])
    if shape[0] < n_items:
        raise DataError(f"{path}: no row {shape[0]}, expected {n_items} rows (1 + the largest itemID)")
    if shape[0] > n_items:
        log.warning("%s: %d rows for %d items, the rows after them are not used", path, shape[0], n_items)
    source = np.load(path, mmap_mode="r", allow_pickle=False)
    with np.errstate(over="ignore"):  # float64 beyond float32 becomes infinite, which is refused below
        matrix = np.array(source[:n_items], dtype=np.float32, order="C")
    if not (np.isfinite(matrix.min()) and np.isfinite(matrix.max())):  # both carry NaN along, without a mask in memory
        row, column = np.argwhere(~np.isfinite(matrix))[0]
        raise DataError(f"{path}: row {row}, column {column} is {source[row, column]}, expected a finite float32")
    return matrix


def _checked_shape(path: Path) -> tuple[int, ...]:
    """Return the shape of the array in a .npy. Raises DataError if it is not a whole float matrix."""
    try:
        with path.open("rb") as file:
            old = np.lib.format.read_magic(file) == (1, 0)
            read = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(file)
            data_bytes = path.stat().st_size - file.tell()
    except Exception as error:  # a mangled header makes numpy raise half a dozen kinds
        reason = str(error).partition("\n")[0]
        raise DataError(f"{path}: not a readable .npy array ({reason})") from None
    missing = int(np.prod(shape, dtype=object)) * dtype.itemsize - data_bytes
    if dtype.hasobject:
        raise DataError(f"{path}: holds pickled Python objects, which are never opened; expected a float matrix")
    if dtype not in (np.float16, np.float32, np.float64):
        raise DataError(f"{path}: dtype is {dtype}, expected float16, float32 or float64")
    if len(shape) != 2 or shape[1] < 1:
        raise DataError(f"{path}: shape is {shape}, expected (items, columns) with at least one column")
    if missing > 0:
        raise DataError(f"{path}: truncated, {missing} bytes are missing for shape {shape} of {dtype}")
    return shape
