"""The winner of a search trained again on seeds that had no part in the choice."""

from tuning.experiments.comparison import Comparison
from tuning.records.folder import SearchFolder
from tuning.records.selection import winner
from tuning.spec import SearchSpec


def confirmation_of(comparison: Comparison, spec: SearchSpec) -> SearchSpec | None:
    """Return the search that trains the winner of `spec` on fresh seeds; None without a winner, or if the comparison
    wants no seeds."""
    best = winner(SearchFolder.of(spec).ledger().values())
    if best is None or not comparison.seeds:
        return None
    changes = {
        "name": f"{spec.name}-seeds",
        "space": best.params,
        "role": "confirmation",
        "scheduler": {"name": "none"},
        "budget": {"trials": comparison.seeds},
        "training": spec.training.model_dump() | {"seed": spec.training.seed + 1},
        "export_dir": str(comparison.folder),
    }
    return SearchSpec.model_validate(spec.model_dump() | changes)
