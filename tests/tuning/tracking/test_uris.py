"""Which store a tracking URI names: paths are quoted, and what is no store is one line before the search."""

from pathlib import Path

import pytest

from recmodels.errors import UserError
from tuning.commandlines import public
from tuning.tracking.stores import check_uri
from tuning.tracking.uris import resolved, sqlite_file, sqlite_url, with_password

NAMES = ["a%20b", "a?b", "a#b", "100%", "two words", "größe", "q'u\"o", "b\\s", "a@b:c&d=e;f", "%2525"]
"""Names of folders that mean something in a URL."""


@pytest.mark.parametrize("name", NAMES)
def test_a_path_comes_back_from_its_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / name).mkdir()
    database = tmp_path / name / "mlflow.db"
    assert sqlite_file(sqlite_url(database)) == database
    monkeypatch.chdir(tmp_path / name)
    assert sqlite_file(resolved("sqlite:///mlflow.db")) == database
    assert sqlite_file(resolved(resolved("sqlite:///mlflow.db"))) == database


def test_an_ordinary_path_looks_as_it_always_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolved("sqlite:///sub/mlflow.db") == f"sqlite:///{tmp_path}/sub/mlflow.db"
    assert resolved(f"sqlite+pysqlite:///{tmp_path}/x.db?timeout=5") == f"sqlite:///{tmp_path}/x.db?timeout=5"
    for uri in (
        "http://h:5000",
        "databricks",
        "databricks://profile",
        "postgresql+psycopg2://u:p@h/db",
        "mysql://h/db",
    ):
        assert resolved(uri) == uri
    assert resolved("sqlite:///file:x.db?uri=true") == "sqlite:///file:x.db?uri=true"


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("./mlruns", "./mlruns: a folder cannot hold the records; expected a database such as sqlite:///mlflow.db"),
        ("mlflow.db", "mlflow.db: a folder cannot hold the records"),
        ("file:///tmp/mlruns", "file:///tmp/mlruns: a folder cannot hold the records"),
        ("sqllite:///x.db", "sqllite:///x.db: MLflow has no store of the kind 'sqllite'; did you mean 'sqlite'?"),
        ("localhost:5000", "localhost:5000: MLflow has no store of the kind 'localhost'; did you mean 'http://local"),
        ("s3://bucket", "s3://bucket: MLflow has no store of the kind 's3'; known: databricks, http, https, m"),
        ("http://", "http://: expected the address of a server"),
        ("http://me:secret@h:port", "http://h:port: expected the address of a server"),
        ("http://[", "http://[: expected the address of a server"),
        ("sqlite://", "sqlite://: expected sqlite:///FILE"),
        ("sqlite:///", "sqlite:///: expected sqlite:///FILE"),
        ("sqlite:///:memory:", "sqlite:///:memory:: expected sqlite:///FILE"),
        ("sqlite://mlflow.db", "sqlite://mlflow.db: expected sqlite:///FILE"),
        ("sqlite:mlflow.db", "sqlite:mlflow.db: expected sqlite:///FILE"),
        (
            "sqlite:///a?b/mlflow.db",
            "sqlite:///a?b/mlflow.db: what follows a ? is no part of the file's name; write %3F",
        ),
        (
            "sqlite:///a%20b/mlflow.db",
            "sqlite:///a%20b/mlflow.db: it names a file in a b, which is not there; write %25",
        ),
        ("sqlite:///a%20b/new/x.db", "sqlite:///a%20b/new/x.db: it names a file in a b/new, which is not there; write"),
        ("", "an empty URI: a folder cannot hold the records"),
        ("mysql://me:secret@h:port/db", "mysql://h:port/db: expected the URL of a database, like mysql://USER@"),
        ("sqlite:///folder", "sqlite:///folder: folder is a folder, expected a file"),
    ],
)
def test_what_is_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a%20b", "a?b", "folder"):
        Path(name).mkdir()
    with pytest.raises(UserError) as caught:
        check_uri(uri, "here")
    assert str(caught.value).startswith(f"here: {message}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a%20b", "a?b", "folder"]


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("https://me:secret@host:5000/path", "https://host:5000/path"),
        (
            "postgresql://me@host/db?user=x&password=secret&sslmode=on",
            "postgresql://host/db?user=x&password=...&sslmode=on",
        ),
        ("sqlite:////tmp/a@b/mlflow.db", "sqlite:////tmp/a@b/mlflow.db"),
        ("http://me:secret@[", "http://["),
    ],
)
def test_a_uri_is_shown_without_its_secrets(uri: str, shown: str) -> None:
    assert public(uri) == shown


def test_a_new_folder_may_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for uri, path in (("sqlite:///new/x.db", "new/x.db"), ("sqlite:///two%20words/x.db", "two words/x.db")):
        assert sqlite_file(uri) == Path(path)


def test_a_password_is_taken_from_the_variable_for_its_own_store_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert with_password("http://h:5000") == "http://h:5000"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@h:5000")
    assert with_password("http://h:5000") == "http://me:secret@h:5000"
    assert with_password("http://other:5000") == "http://other:5000"
    assert with_password("http://you:word@h:5000") == "http://you:word@h:5000"
