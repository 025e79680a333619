"""Run the searches of a comparison one after the other; a comparison that was killed resumes where it stopped."""

from collections.abc import Callable, Iterator

from recmodels.files import append_line, read_lines
from tuning.experiments.comparison import Comparison
from tuning.records import SearchFolder
from tuning.spec import SearchSpec


def run_comparison(comparison: Comparison, run: Callable[[SearchSpec], bool]) -> bool:
    """Run the remaining searches; return False if the user interrupted.

    `run`: starts or resumes a search and returns False if the user interrupted it. Those that ended are resumed only to
    open their test metrics, where that is wanted now and was not before.
    """
    comparison.write()
    done = comparison.folder / "done.jsonl"
    for spec in _searches(comparison):
        ended = spec.name in {row["search"] for row in read_lines(done)}
        if ended and (not spec.show_test or SearchFolder.of(spec).spec().show_test):
            continue
        if not run(spec):
            return False
        if not ended:
            append_line(done, {"search": spec.name}, sync=True)
    return True


def _searches(comparison: Comparison) -> Iterator[SearchSpec]:
    for spec in comparison.searches:
        yield spec
        if seeds := comparison.confirmation_of(spec):
            yield seeds
