"""A folder that was moved or copied with its MLflow database, which has the absolute place of every run's files."""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

TABLES = {"experiments": ("experiment_id", "artifact_location"), "runs": ("run_uuid", "artifact_uri")}
"""Table of MLflow -> its key, and its column with the URI of a place."""


def follow_move(database: Path, home: Path) -> list[Path]:
    """Let a database look for files in `home`, the folder beside it, where it names a folder of that name elsewhere.

    Entries whose files are at the other place and not in `home` stay as they are: the database alone was moved. Returns
    the other places that entries have left. Raises sqlite3.Error.
    """
    with closing(sqlite3.connect(database, timeout=30)) as connection, connection:
        present = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not present.issuperset(TABLES):  # MLflow has not made them yet
            return []
        locations = connection.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall()
        roots = {uri: Path(url2pathname(urlsplit(uri).path)) for (uri,) in locations if (uri or "").startswith("file:")}
        elsewhere = {uri: path for uri, path in roots.items() if path.name == home.name and not _same(path, home)}
        left = [uri for uri, path in elsewhere.items() if home.exists() or not path.exists()]
        for uri in left:
            _follow(connection, uri, elsewhere[uri], home)
        return [elsewhere[uri] for uri in left]


def _follow(connection: sqlite3.Connection, uri: str, old: Path, home: Path) -> None:
    """Rewrite the entries below the URI of `old`."""
    for table, (key, column) in TABLES.items():
        rows = connection.execute(f"SELECT {key}, {column} FROM {table}").fetchall()
        for row, place in rows:
            if place != uri and not (place or "").startswith(f"{uri}/"):
                continue
            rest = place[len(uri) :]
            files = url2pathname(rest).strip("/")
            if (old / files).exists() and not (home / files).exists():
                continue
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (home.as_uri() + rest, row))


def _same(one: Path, other: Path) -> bool:
    return one == other or (one.exists() and other.exists() and one.samefile(other))
