"""Export: the winner of a search as one checked value, with everything that a replay needs."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from recmodels.errors import UserError, nearest
from tuning.checked_file import FORMAT, File, Part
from tuning.records import Confirmation
from tuning.space import SECTIONS, Fixed, Parameter, Space, SpaceError
from tuning.spec import CheckedMetric
from tuning.yaml_document import Document, read_yaml


class ExportedTraining(Part):
    """The winner's training. `epochs`: number that it ran and a replay runs. The rest is as in the search's spec.

    `eval_every`: 1 in older files.
    """

    epochs: Annotated[int, Field(ge=1)]
    best_epoch: Annotated[int, Field(ge=1)]
    metric: CheckedMetric
    ks: tuple[Annotated[int, Field(ge=1)], ...]
    max_epochs: Annotated[int, Field(ge=1)]
    patience: Annotated[int, Field(ge=0)]
    eval_every: Annotated[int, Field(ge=1)] = 1


class ExportedMetrics(Part):
    """All metrics at the best epoch, not rounded; `test` is empty if it was not measured."""

    valid: dict[str, float]
    test: dict[str, float]


class ExportedSearch(Part):
    """The search that the winner is from. `trials`: number by status, without the baseline. `told`: number of values
    of earlier searches that its sampler was told; 0 in older files."""

    name: str
    trials: dict[str, int]
    sampler: str
    scheduler: str
    told: Annotated[int, Field(ge=0)] = 0


class Export(File):
    """The winner of a search.

    `reconstruction`: whether the strategy was rebuilt without its paper's full text; its results are not the paper's.
    `parameters`: by section. `popularity`: metrics of ranking by popularity on the same data; None in older files.
    `threads`, `device`: of the trial. `confirmation`: on fresh seeds; None where there was none, as in older files.
    `objectives`: values of several objectives on validation, None for one that was not measured; {} without such.
    """

    what: ClassVar = "an exported configuration"
    unversioned: ClassVar = FORMAT  # exports had the same form before they named it
    model: str
    dataset: str
    strategy: str
    reconstruction: bool = False
    parameters: dict[Literal["strategy", "train", "model"], dict[str, Any]]
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    training: ExportedTraining
    metrics: ExportedMetrics
    popularity: ExportedMetrics | None = None
    data_fingerprint: str
    versions: dict[str, str]
    threads: Annotated[int, Field(ge=1)]
    device: Literal["cpu", "cuda"]
    search: ExportedSearch
    confirmation: Confirmation | None = None
    objectives: dict[str, float | None] = Field(default_factory=dict)


def read_trainable(path: Path) -> Export:
    """Read an export and check that it can be trained, as it may have been edited by hand. UserError otherwise."""
    from tuning.space.catalogue import check_export  # it loads torch

    if not path.exists():
        near = nearest(path.name, (each.name for each in path.parent.glob("*.yaml")))
        hint = f"; did you mean {str(path.with_name(near))!r}?" if near else ""
        raise UserError(f"{path}: No such file or directory, expected {Export.what}{hint}")
    document = read_yaml(path, expected=Export.what)
    export = Export.of(document)
    check_export(_space(export, document), export.model, export.strategy, document.name)
    return export


def _space(export: Export, document: Document) -> Space:
    """Return the exported parameters as a space of one point. SpaceError for a missing section or a wrong value."""
    if missing := set(SECTIONS) - export.parameters.keys():
        raise SpaceError(f"{document.where('parameters')}: parameters: {min(missing)} is missing")
    parameters = []
    for section, values in export.parameters.items():
        for name, value in values.items():
            source = document.where("parameters", section, name)
            try:
                parameters.append(Parameter(section, name, Fixed(value), source=source))
            except ValueError as error:
                raise SpaceError(f"{source}: {name}: {error}") from None
    return Space(tuple(parameters))
