"""A fault of the place where trials run: of a node, or of the storage of checkpoints."""

from recmodels.errors import UserError


class PlaceFault(UserError):
    """Says, in one line, why no trial can run here. It is no trial's result: the search ends, and a resume goes on."""
