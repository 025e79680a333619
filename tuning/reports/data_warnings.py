"""The warnings of the loaders of data sets, where a report shows them and not the log."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collected_warnings() -> Iterator[list[str]]:
    """Yield a list that gets the loaders' warnings, which are not printed: they are a part of the report."""
    found: list[str] = []

    def collect(record: logging.LogRecord) -> bool:
        if record.levelno >= logging.WARNING:
            found.append(record.getMessage())
        return False  # prints nothing

    logger = logging.getLogger("mirrortune.data")
    logger.addFilter(collect)
    try:
        yield found
    finally:
        logger.removeFilter(collect)
