"""The files of landscapes for programs: the grids and their numbers as CSV, and everything as JSON."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from recmodels.analysis.landscape import TAUS
from tuning.analyses.landscape import PLACES, Landscape, Surface
from tuning.analyses.results import write_csv, write_json
from tuning.analyses.subjects import Analyzed


def write_tables(folder: Path, landscape: Landscape, analyzed: Analyzed) -> None:
    """Write landscape.csv, a row for each point; landscape-numbers.csv, one for each surface; landscape-lines.csv, one
    for each point of a line, if there is one; and landscape.json with all of it."""
    points, numbers, lines = [], [], []
    for surface in landscape.surfaces:
        own = _own(landscape, analyzed, surface)
        for m, losses in zip(landscape.planes.axis, surface.losses, strict=True):
            for n, loss in zip(landscape.planes.axis, losses, strict=True):
                rise = None if loss is None else loss - surface.centre
                points.append({**own, "m": m, "n": n, "loss": loss, "rise": rise})
        numbers.append({**own, "loss": surface.centre, **_costs(surface), **flat_scalars(surface)})
    for line in landscape.lines:
        ends = {"from": analyzed.subjects[0].label, "to": analyzed.subjects[line.number].label}
        lines += [ends | {"t": t, "loss": loss} for t, loss in zip(PLACES, line.losses, strict=False)]
    write_csv(folder / "landscape.csv", points)
    write_csv(folder / "landscape-numbers.csv", numbers)
    if lines:
        write_csv(folder / "landscape-lines.csv", lines)
    else:
        (folder / "landscape-lines.csv").unlink(missing_ok=True)  # of an analysis of before
    write_json(folder / "landscape.json", as_json(landscape, analyzed))


def as_json(landscape: Landscape, analyzed: Analyzed) -> dict[str, Any]:
    """Return everything as plain data."""
    return {
        "kind": "landscape",
        "settings": {**asdict(landscape.fixed), **asdict(landscape.planes)},
        "axis": landscape.planes.axis,
        "exports": [
            {**analyzed.identity(number), "weights": analyzed.weights[number].source}
            for number in range(len(analyzed.subjects))
        ],
        "surfaces": [
            {
                "export": analyzed.subjects[each.number].label,
                "pair": each.pair,
                "loss": each.centre,
                **_costs(each),
                **flat_scalars(each),
                "losses": each.losses,
            }
            for each in landscape.surfaces
        ],
        "lines": [
            {"from": analyzed.subjects[0].label, "to": analyzed.subjects[each.number].label, "t": PLACES}
            | {"losses": each.losses, "barrier": each.barrier, "reason": each.reason}
            for each in landscape.lines
        ],
    }


def flat_scalars(surface: Surface) -> dict[str, float | int | None]:
    """Return the numbers of a surface by name, each tau's share under a name of its own."""
    found = surface.scalars
    return {
        "mean_rise": found.mean_rise,
        "max_rise": found.max_rise,
        **{f"low_area_{tau:g}": share for tau, share in zip(TAUS, found.low_area, strict=True)},
        "curv": found.curv,
        "min_gap": found.min_gap,
        "not_finite": found.not_finite,
    }


def _own(landscape: Landscape, analyzed: Analyzed, surface: Surface) -> dict[str, Any]:
    planes = landscape.planes
    measured = {"measure": "landscape", "scope": planes.scope, "mode": planes.normalisation}
    return {**analyzed.identity(surface.number), **measured, "pair": surface.pair}


def _costs(surface: Surface) -> dict[str, Any]:
    return {"norm": surface.norm, "cosine": surface.cosine, "seconds": surface.seconds, "passes": surface.passes}
