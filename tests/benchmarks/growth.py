"""How the cost of an epoch grows with the interactions of a data set: one figure of what the benchmark of epochs kept.

    python -m tests.benchmarks.epochs --dataset synthetic:baby --threads 1 --steps 3 --epochs 1 --output baby.json
    python -m tests.benchmarks.growth baby.json sports.json electronics.json --figure docs/growth.svg

Several files of one data set count as one: models with long epochs may be measured over a number of steps. Both axes
are logarithmic: a cost in proportion to the interactions is a line that rises as the grey one does. The table has the
same numbers: seconds of an epoch with Mirror Gradient and one validation, and the peak memory.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from recmodels.errors import UserError
from recmodels.files import replacing
from tests.benchmarks.table import number, table_row


@dataclass(frozen=True)
class Size:
    """A data set and, by model, the seconds of an MG epoch with one validation and the peak memory in bytes."""

    dataset: str
    interactions: int
    seconds: dict[str, float]
    peaks: dict[str, int]


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 2 bad input."""
    parser = argparse.ArgumentParser("python -m tests.benchmarks.growth", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("files", nargs="+", type=Path, help="what the benchmark of epochs wrote with --output")
    parser.add_argument("--figure", type=Path, help="an .svg or .png to draw")
    given = parser.parse_args(argv)
    try:
        sizes = sorted(joined(map(read, given.files)), key=lambda size: size.interactions)
        if given.figure and given.figure.suffix not in (".svg", ".png"):
            raise UserError(f"--figure {given.figure}: expected a name that ends in .svg or .png")
    except UserError as error:
        print(f"growth: {error}", file=sys.stderr)
        return 2
    print(table(sizes))
    if given.figure:
        draw(sizes, given.figure)
    return 0


def read(path: Path) -> Size:
    """A file of `tests.benchmarks.epochs`; models that failed are left out. UserError for any other file."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        rows = {row["model"]: row for row in kept["rows"] if "failed" not in row}
        seconds = {model: row["epoch"]["mg"] + row["validation"] for model, row in rows.items()}
        peaks = {model: row["peak"] for model, row in rows.items()}
        size = Size(kept["dataset"], kept["interactions"], seconds, peaks)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path}: expected a file of the benchmark of epochs, without --against") from None
    if not size.seconds:
        raise UserError(f"{path}: no model was measured, expected one and more")
    return size


def joined(sizes: Iterable[Size]) -> list[Size]:
    """One for each data set, with the models of all its files; of a model that is in several the last counts."""
    found: dict[str, Size] = {}
    for size in sizes:
        known = found.setdefault(size.dataset, size)
        known.seconds.update(size.seconds)
        known.peaks.update(size.peaks)
    return list(found.values())


def models(sizes: Sequence[Size]) -> list[str]:
    """Those of any size, in the order of the first file that has them."""
    return list(dict.fromkeys(model for size in sizes for model in size.seconds))


def table(sizes: Sequence[Size]) -> str:
    """A row a model: seconds and GiB at each size, and seconds per interaction at the last size over the first."""
    header = ["model", *(f"{size.dataset}, {size.interactions:,}: s / GiB" for size in sizes), "per interaction"]
    widths = [max(map(len, [header[0], *models(sizes)])), *map(len, header[1:])]
    rows = [header, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]]
    for model in models(sizes):
        row = [model]
        for size in sizes:
            known = model in size.seconds
            row.append(f"{number(size.seconds[model])} / {size.peaks[model] / 2**30:.1f}" if known else "")
        each = [size.seconds[model] / size.interactions for size in sizes if model in size.seconds]
        rows.append([*row, f"x {each[-1] / each[0]:.2f}" if len(each) > 1 else ""])
    return "\n".join(table_row(row, widths) for row in rows)


def draw(sizes: Sequence[Size], path: Path) -> None:
    """A line a model."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.add_subplot(xscale="log", yscale="log")
    for model in models(sizes):
        points = [(size.interactions, size.seconds[model]) for size in sizes if model in size.seconds]
        axes.plot(*zip(*points, strict=True), marker="o", label=model)
    lowest = min(min(size.seconds.values()) for size in sizes)
    ends = [sizes[0].interactions, sizes[-1].interactions]
    axes.plot(ends, [lowest * end / ends[0] for end in ends], color="grey", ls=":", label="in proportion")
    axes.set_xticks([size.interactions for size in sizes], [f"{size.dataset}\n{size.interactions:,}" for size in sizes])
    axes.minorticks_off()
    axes.set_xlabel("training interactions")
    axes.set_ylabel("s, an epoch with Mirror Gradient and a validation")
    axes.legend(fontsize="small")
    with replacing(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:], metadata={"Date": None} if path.suffix == ".svg" else None)


if __name__ == "__main__":
    sys.exit(main())
