"""Load a .npy of features as a float32 matrix. Its header is checked first, and a pickle is never opened."""

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recmodels.errors import DataError

BLOCK = 4096  # rows that are looked at at once, so that no mask of the whole matrix is in memory

log = logging.getLogger("mirrortune.data")


def load_features(path: Path, n_items: int | None = None) -> NDArray[np.float32]:
    """Load rows 0 to n_items - 1 (default: all) of the .npy at `path`, finite float32 (n_items, dim), C-contiguous.

    Row i belongs to item i. A row that holds NaN becomes the mean of the others, with a warning. Raises DataError as
    `read_features` does.
    """
    matrix, missing = read_features(path, n_items)
    if missing.any():
        n, first = int(missing.sum()), int(missing.argmax())
        most = ", most of them" if 2 * n > len(missing) else ""
        text = "%s: %d of %d rows%s have missing values (the first is row %d) and get the mean of the others"
        log.warning(text, path, n, len(missing), most, first)
        fill_with_mean(matrix, missing)
    return matrix


def read_features(path: Path, n_items: int | None = None) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Read rows 0 to n_items - 1 (default: all) of the .npy at `path` as they are, and which of them hold NaN.

    Returns float32 (n_items, dim), C-contiguous, and a mask (n_items,); further rows are cut off with a warning. Raises
    DataError for a file that is not one plain matrix of real numbers (floats, whole numbers, true and false), is
    truncated, has fewer rows, holds infinity (also after the cast to float32), or holds NaN in every row.
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
    missing = np.zeros(n_items, dtype=bool)
    if np.isfinite(matrix.min()) and np.isfinite(matrix.max()):  # both carry NaN along, without a mask in memory
        return matrix, missing
    for start in range(0, n_items, BLOCK):
        block = matrix[start : start + BLOCK]
        if np.isinf(block).any():
            row, column = np.argwhere(np.isinf(block))[0] + (start, 0)
            raise DataError(f"{path}: row {row}, column {column} is {source[row, column]}, expected a finite float32")
        missing[start : start + BLOCK] = np.isnan(block).any(axis=1)
    if missing.all():
        raise DataError(f"{path}: each of its {n_items} rows has a missing value (NaN), expected some without")
    return matrix, missing


def fill_with_mean(matrix: NDArray[np.float32], missing: NDArray[np.bool_]) -> None:
    """Replace the rows of `matrix` (n, dim) that the mask `missing` (n,) names, not all, by the mean of the others."""
    matrix[missing] = matrix.mean(axis=0, dtype=np.float64, where=~missing[:, None])


def warn_of_other_files(folder: Path) -> None:
    """Warn of files such as `image_feat.pt` in a data set's folder, which look like features and are not loaded."""
    for path in sorted(folder.glob("*_feat.*")):
        if path.suffix != ".npy" and not path.name.endswith("_feat.ids.txt"):
            expected = f"{path.name.partition('.')[0]}.npy (numpy.save(..., allow_pickle=False))"
            log.warning("%s: not loaded, features are read from a file such as %s", path, expected)


def _checked_shape(path: Path) -> tuple[int, ...]:
    """Return the shape of the array in a .npy. Raises DataError if it is not one whole matrix of real numbers."""
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
    if dtype.kind not in "fiub":
        raise DataError(f"{path}: dtype is {dtype}, expected floats, whole numbers or bool")
    if len(shape) != 2 or shape[1] < 1:
        raise DataError(f"{path}: shape is {shape}, expected (items, columns) with at least one column")
    if missing > 0:
        raise DataError(f"{path}: truncated, {missing} bytes are missing for shape {shape} of {dtype}")
    if missing < 0:  # as after two numpy.save into one open file
        raise DataError(f"{path}: {-missing} bytes follow the array of shape {shape}, expected one array in a file")
    return shape
