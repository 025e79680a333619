"""Tracking URIs as MLflow takes them: what each names, whether it can be one, and how it is shown.

A path becomes a part of a URL by quoting alone: `%20`, `?` and `#` may stand in the name of a folder.
"""

import os
import re
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from recmodels.errors import UserError, did_you_mean
from tuning.commandlines import public

if TYPE_CHECKING:
    from sqlalchemy import URL

HTTP, DATABASES = ("http", "https"), ("sqlite", "postgresql", "mysql", "mssql")
SQLITE_OPTIONS = {"timeout", "isolation_level", "detect_types", "check_same_thread", "cached_statements"}


def scheme(uri: str) -> str:
    """Return the kind of store that a URI names, such as `sqlite` or `http`; "" for a path."""
    found = re.match(r"([A-Za-z][A-Za-z0-9.-]+)(\+\w+)?:", uri)
    return found[1].lower() if found else uri if uri == "databricks" else ""


def resolved(uri: str) -> str:
    """Return a tracking URI in a form that means the same in every working directory.

    UserError, one line that shows the URI without its password, if MLflow has no such store.
    """
    kind = scheme(uri)
    if kind in ("", "file"):
        # MLflow 3.17 is about to give them up; there a metric `best` and another `best/epoch` exclude each other.
        expected = "expected a database such as sqlite:///mlflow.db, a server such as http://localhost:5000, or none"
        raise UserError(f"{uri or 'an empty URI'}: a folder cannot hold the records; {expected}")
    if kind == "sqlite":
        path = sqlite_file(uri)
        return sqlite_url(path.resolve()) + options(uri) if path else uri
    known = {*HTTP, *DATABASES, "databricks", *entry_points(group="mlflow.tracking_store").names}
    if kind not in known:
        is_host = re.fullmatch(r"[\w.-]+:\d+(/.*)?", uri)
        hint = f"; did you mean 'http://{uri}'?" if is_host else did_you_mean(kind, known)
        raise UserError(f"{public(uri)}: MLflow has no store of the kind {kind!r}{hint}")
    if kind in HTTP and not _has_host(uri):
        raise UserError(f"{public(uri)}: expected the address of a server, like http://localhost:5000")
    if kind in DATABASES and _url(uri) is None:
        raise UserError(f"{public(uri)}: expected the URL of a database, like {kind}://USER@HOST:PORT/NAME")
    return uri


def options(uri: str) -> str:
    """Return what follows the file or the host of a URI, from its question mark on."""
    _, mark, rest = uri.partition("?")
    return mark + rest


def sqlite_file(uri: str) -> Path | None:
    """Return the file that a SQLite URL names; None for a URI of another kind, and for one that SQLite itself reads.

    UserError for a URL without a file, and for one in which a path was pasted without quoting.
    """
    if scheme(uri) != "sqlite":
        return None
    raw, mark, query = uri.partition("?")
    given = [part.partition("=") for part in query.split("&")] if mark else []
    if ("uri", "=", "true") in given:
        return None
    url = _url(raw)
    if url is None or url.host or url.database in (None, "", ":memory:"):
        raise UserError(f"{uri}: expected sqlite:///FILE, a database that is still there when the search has ended")
    if any(not equals or name not in SQLITE_OPTIONS for name, equals, _ in given):
        raise UserError(f"{uri}: what follows a ? is no part of the file's name; write %3F for it")
    path, literal = Path(str(url.database)), Path(raw.partition(":///")[2])
    if _depth_there(literal) > _depth_there(path):
        raise UserError(f"{uri}: it names a file in {path.parent}, which is not there; write %25 for the % of a folder")
    if path.is_dir():
        raise UserError(f"{uri}: {path} is a folder, expected a file")
    return path


def _depth_there(path: Path) -> int:
    """Return how many parts of the path to a file are folders that exist."""
    return next(len(folder.parts) for folder in path.absolute().parents if folder.is_dir())


def sqlite_url(path: Path, driver: str = "sqlite") -> str:
    """Return the URL of a SQLite file. UserError if this version of SQLAlchemy does not quote what the path needs."""
    from sqlalchemy import URL, make_url

    url = URL.create(driver, database=str(path)).render_as_string()
    if make_url(url).database != str(path):
        raise UserError(f"{path}: this version of SQLAlchemy cannot name the file in a URL")
    return url


def _url(text: str) -> "URL | None":
    """Return what SQLAlchemy reads in a URL; None if it cannot."""
    from sqlalchemy import make_url  # 0.3 s
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(text)
    except (ArgumentError, ValueError):  # the latter for a port
        return None


def with_password(uri: str) -> str:
    """Return the URI as MLFLOW_TRACKING_URI has it, with its password, if that is all in which they differ."""
    variable = os.environ.get("MLFLOW_TRACKING_URI", "")
    return variable if public(variable) == uri else uri


def _has_host(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
