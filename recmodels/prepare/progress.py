"""A progress bar in the terminal for work that is measured in bytes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm


@contextmanager
def bytes_bar(title: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show a bar on the standard error if that is a terminal; yield a function that takes the number of bytes done."""
    with tqdm(desc=title, total=total, unit="B", unit_scale=True, disable=None) as bar:
        yield lambda done: bar.update(done - bar.n)


def size(n: float) -> str:
    """Format a number of bytes: 999 B, 12.3 MB, 1.2 GB."""
    for unit in ("B", "kB", "MB"):
        if n < 1000:
            return f"{n:.0f} B" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1000
    return f"{n:.1f} GB"
