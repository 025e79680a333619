"""Read columns of a Parquet file, lists of a fixed size with nulls among them included."""

import struct
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow

MAGIC = b"PAR1"
ARROW_TYPES = b"ARROW:schema"  # the key under which a writer keeps the types that Parquet does not have


def read_parquet(path: Path, names: Sequence[str]) -> "pyarrow.Table":
    """Read the columns `names` of a Parquet file. Raises what pyarrow does for a damaged one.

    pyarrow writes lists of a fixed size with nulls among them, and refuses to read them. Parquet itself has only lists
    of any size, so such a file is read without the note of the types that its writer had.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return parquet.read_table(path, columns=list(names))
    except pa.ArrowInvalid as error:
        if "lists to be of size" not in str(error):
            raise
    with path.open("rb") as file:
        file.seek(-8, 2)
        (size,) = struct.unpack("<i", file.read(4))
        file.seek(-8 - size, 2)
        footer = file.read(size).replace(ARROW_TYPES, b"-" * len(ARROW_TYPES))
    metadata = parquet.read_metadata(BytesIO(MAGIC + footer + struct.pack("<i", size) + MAGIC))
    with parquet.ParquetFile(path, metadata=metadata) as whole:
        return whole.read(columns=list(names))
