"""Formats of data set folders. A new format is a file here and an entry in FORMATS."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from recmodels.data.dataset import RecDataset
from recmodels.data.formats.amr import is_amr, load_amr
from recmodels.data.formats.mmrec import is_mmrec, load_mmrec
from recmodels.data.formats.recbole import is_recbole, load_recbole

__all__ = ["FORMATS", "Format"]


class Format(NamedTuple):
    """`recognises(folder)` is true for a folder in this format. `load(folder, cache_dir)` returns its data set, whose
    `id_source` reads the original ids; it raises DataError, one line with file and row, for any fault."""

    recognises: Callable[[Path], bool]
    load: Callable[[Path, Path | None], RecDataset]


FORMATS = (Format(is_recbole, load_recbole), Format(is_amr, load_amr), Format(is_mmrec, load_mmrec))
"""The first one that recognises a folder loads it; a folder that none recognises gets the last one's message."""
