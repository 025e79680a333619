"""The files of a sharpness analysis for programs: a row for each number as CSV, and everything as JSON."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from tuning.analyses.results import write_csv, write_json
from tuning.analyses.sharpness import Sharpness
from tuning.analyses.subjects import Analyzed


def write_tables(folder: Path, sharpness: Sharpness, analyzed: Analyzed) -> None:
    """Write sharpness.csv and sharpness.json."""
    rows = records(sharpness, analyzed)
    write_csv(folder / "sharpness.csv", [row | {"sizes": _text(row["sizes"])} for row in rows])
    exports = [
        {**analyzed.identity(number), "weights": analyzed.weights[number].source}
        for number in range(len(analyzed.subjects))
    ]
    content = {"kind": "sharpness", "settings": asdict(sharpness.fixed), "exports": exports, "records": rows}
    write_json(folder / "sharpness.json", content | {"left_out": list(sharpness.left_out)})


def records(sharpness: Sharpness, analyzed: Analyzed) -> list[dict[str, Any]]:
    """Return a record for each number, with the norms of the weights that it is to be read with beside it."""
    return [
        {
            **analyzed.identity(found.number),
            "scope": found.scope,
            "measure": reading.measure,
            "level": found.task.level,
            "mode": found.task.mode,
            "value": reading.value,
            "of_loss": found.of_loss(reading),
            "error": reading.error,
            "remark": reading.remark,
            "loss": found.loss,
            "norm": found.norm,
            "n_weights": found.weights,
            "sizes": found.sizes,
            "seconds": found.seconds,
            "forward_passes": found.forward,
            "backward_passes": found.backward,
        }
        for found in sharpness.found
        for reading in found.readings
    ]


def _text(sizes: dict[str, float]) -> str:
    return " ".join(f"{name}={size:.6g}" for name, size in sizes.items())
