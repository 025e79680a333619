"""The numbers of a trial in a flatness analysis by name, and each strategy beside plain."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean, stdev

from recmodels.analysis.flatness import MEASURES
from recmodels.evaluation.paired_tests import PairedTest, pair_by_key, paired_tests
from tuning.analyses.flatness import Asked, Row
from tuning.experiments import REFERENCE

PRIMARY = "adaptive"


@dataclass(frozen=True, eq=False)
class Quantity:
    """A number of each trial. `of`: returns it, None where a trial has none. `title`: what it is, in some words."""

    name: str
    title: str
    of: Callable[[Row], float | None]


@dataclass(frozen=True, eq=False)
class Condition:
    """One perturbation at one level: the metric that is left, and its relative drop in percent."""

    name: str
    perturbed: Quantity
    drop: Quantity


@dataclass(frozen=True, eq=False)
class Summary:
    """A quantity over the runs of a strategy. `deviation`: the sample's, None for one run. `difference`: from plain,
    paired by seed, p after Holm's correction for the strategies; None for plain itself and without two common seeds."""

    model: str
    strategy: str
    quantity: str
    n: int
    mean: float
    deviation: float | None
    difference: PairedTest | None


def sharpness_of(asked: Asked, rows: Sequence[Row]) -> list[Quantity]:
    """Return the measures of sharpness, the primary one first, and what they depend on: loss, norm and the length of
    training, which may foretell as much."""
    found = []
    for place, task in sorted(enumerate(asked.tasks), key=lambda each: each[1].measure != PRIMARY):
        title = f"{MEASURES[task.measure].title}{'' if task.level is None else f', level {task.level:g}'}"
        for name in dict.fromkeys(reading.measure for row in rows for reading in row.sharpness[place].readings):
            if name.endswith("_squared"):  # the order of a norm's square is that of the norm
                continue
            found.append(Quantity(name, title, partial(_reading, place=place, name=name)))
            if task.measure == PRIMARY:
                share = partial(_reading, place=place, name=name, of_loss=True)
                found.append(Quantity(f"{name} / loss", f"{title}, as a share of the loss", share))
    loss = Quantity("loss", "the training loss of the fixed batches", lambda row: row.sharpness[0].loss)
    norm = Quantity("norm of weights", "the Euclidean norm of the weights", lambda row: row.sharpness[0].norm)
    epoch = Quantity("best_epoch", "epochs that the weights were trained for", lambda row: row.run.record.best_epoch)
    return [*found, loss, norm, epoch]


def _reading(row: Row, place: int, name: str, of_loss: bool = False) -> float | None:
    found = row.sharpness[place]
    reading = next((each for each in found.readings if each.measure == name), None)
    if reading is None:
        return None
    return found.of_loss(reading) if of_loss else reading.value


def accuracies(asked: Asked) -> list[Quantity]:
    """Return the metric without a perturbation: on validation, and on test where it may be seen."""
    metric, split = asked.noise.metric, asked.noise.split

    def valid(row: Row) -> float | None:
        return row.curves[0].clean if split == "valid" else row.run.record.valid.get(metric)

    def test(row: Row) -> float | None:
        return row.curves[0].clean if split == "test" else row.run.test.get(metric)

    return [
        Quantity("valid", f"{metric} on validation", valid),
        Quantity("test", f"{metric} on test", test),
    ]


def conditions(asked: Asked) -> list[Condition]:
    """Return the perturbations, each at its levels but 0."""
    found, metric = [], asked.noise.metric
    for place, (measure, levels) in enumerate(asked.noise.measures):
        for at, level in list(enumerate(levels))[1:]:
            name = f"{measure.name} {level:g}"
            left = Quantity(f"{metric}, {name}", f"{metric} under {name}", partial(_perturbed, place=place, at=at))
            drop = Quantity(f"drop, {name}", f"drop under {name}, %", partial(_drop, place=place, at=at))
            found.append(Condition(name, left, drop))
    return found


def _perturbed(row: Row, place: int, at: int) -> float | None:
    return row.curves[place].value(at) if row.curves[place].applies else None


def _drop(row: Row, place: int, at: int) -> float | None:
    return row.curves[place].drop(at) if row.curves[place].applies else None


def quantities(asked: Asked, rows: Sequence[Row]) -> list[Quantity]:
    """Return every quantity of a trial."""
    both = [quantity for each in conditions(asked) for quantity in (each.perturbed, each.drop)]
    return [*accuracies(asked), *both, *sharpness_of(asked, rows)]


def of_models(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return model -> its trials: numbers of sharpness say nothing across models."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.run.spec.model, []).append(row)
    return found


def of_strategies(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return strategy -> its trials, plain first."""
    names = dict.fromkeys(row.run.strategy for row in rows)
    ordered = sorted(names, key=lambda name: name != REFERENCE)
    return {name: [row for row in rows if row.run.strategy == name] for name in ordered}


def headline(asked: Asked, rows: Sequence[Row]) -> Condition | None:
    """Return the condition by which a model's trials are judged: the first perturbation that reaches the model, at its
    largest level; None if none does."""
    for name in (measure.name for measure, _ in asked.noise.measures):
        own = [each for each in conditions(asked) if each.name.startswith(f"{name} ")]
        if own and any(own[-1].perturbed.of(row) is not None for row in rows):
            return own[-1]
    return None


def summaries(asked: Asked, rows: Sequence[Row]) -> list[Summary]:
    """Return every quantity of every strategy, for each model: what its runs have, and the difference from plain.

    A strategy's runs of one seed count by their mean.
    """
    found = []
    for model, own in of_models(rows).items():
        strategies = of_strategies(own)
        for quantity in quantities(asked, own):
            by_seed = {name: _by_seed(each, quantity) for name, each in strategies.items()}
            reference = by_seed.get(REFERENCE, {})
            rivals = [name for name in strategies if name != REFERENCE]
            tests = paired_tests({name: pair_by_key(by_seed[name], reference) for name in rivals})
            for name, each in strategies.items():
                values = [value for value in map(quantity.of, each) if value is not None]
                if values:
                    spread = stdev(values) if len(values) > 1 else None
                    found.append(
                        Summary(model, name, quantity.name, len(values), fmean(values), spread, tests.get(name))
                    )
    return found


def _by_seed(rows: Sequence[Row], quantity: Quantity) -> dict[int, float]:
    values: dict[int, list[float]] = {}
    for row in rows:
        if (value := quantity.of(row)) is not None:
            values.setdefault(row.run.record.seed, []).append(value)
    return {seed: fmean(own) for seed, own in values.items()}
