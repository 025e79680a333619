"""Write the winner of a search to a file, and train it again from that file. Only `replay` loads torch."""

from tuning.export.mmrec import check_mmrec, to_mmrec
from tuning.export.model import Export, read_trainable
from tuning.export.winner import export_best, export_name

__all__ = ["Export", "check_mmrec", "export_best", "export_name", "read_trainable", "to_mmrec"]
