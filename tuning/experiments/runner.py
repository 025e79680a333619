"""Run the searches of an experiment one after the other; an experiment that was killed resumes where it stopped."""

from collections.abc import Callable, Iterator

from recmodels.files import append_line, read_lines
from tuning.experiments.confirmed import confirmed
from tuning.experiments.experiment import Experiment
from tuning.records import SearchFolder
from tuning.spec import SearchSpec


def run_experiment(experiment: Experiment, run: Callable[[SearchSpec], bool]) -> bool:
    """Run the remaining searches; return False if the user interrupted.

    `run`: starts or resumes a search and returns False if the user interrupted it. A search whose trials ran out of
    memory is not done: a resume tries these again. One that is done is resumed only to open its test metrics, where
    that is wanted now and was not before.
    """
    experiment.write()
    for spec in searches(experiment):
        if is_done(experiment, spec):
            continue
        if not run(spec):
            return False
        if not SearchFolder.of(spec).out_of_memory() and not _ended(experiment, spec):
            append_line(experiment.folder / "done.jsonl", {"search": spec.name}, sync=True)
    return True


def is_done(experiment: Experiment, spec: SearchSpec) -> bool:
    """Return whether a search of the experiment has come to its end, and shows what it is to show."""
    return _ended(experiment, spec) and (not spec.show_test or SearchFolder.of(spec).spec().show_test)


def _ended(experiment: Experiment, spec: SearchSpec) -> bool:
    return spec.name in {row["search"] for row in read_lines(experiment.folder / "done.jsonl")}


def searches(experiment: Experiment) -> Iterator[SearchSpec]:
    """Yield the searches and their confirmations in the order in which they run, each made when the last has ended.

    Without a base to search on, nothing comes after the reference.
    """
    for place in range(len(experiment.searches)):
        if (spec := as_it_runs(experiment, place)) is None:
            return
        yield spec
        if confirmation := experiment.confirmation_of(spec):
            yield confirmation


def as_it_runs(experiment: Experiment, place: int) -> SearchSpec | None:
    """Return the search at a place as it runs: on the base that the reference found, if the experiment wants that.

    Once it has begun, its space stays what it was. None if the reference has no result.
    """
    spec, first = experiment.searches[place], experiment.searches[0]
    folder = SearchFolder.of(spec)
    if folder.exists():
        return spec.model_copy(update={"space": folder.spec().space})
    if place == 0 or not experiment.on_base:
        return spec
    found = confirmed(experiment, first)
    best = found.chosen.found if found else next(iter(SearchFolder.of(first).contenders()), None)
    if best is None:
        return None
    base = {section: best.params[section] for section in ("train", "model")}
    return spec.model_copy(update={"space": spec.space.fixed_at(base, source=first.name)})
