"""A database that was moved or copied finds its runs' files beside it, and the old folder stays away."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from tuning.tracking.moved import follow_move

RUNS = ("with-files", "without")


def made_database(folder: Path, *, home: Path | None = None) -> Path:
    """A database with the columns of MLflow's that matter, and the files of one of its two runs."""
    home = home or folder / "mlartifacts"
    (home / "with-files" / "artifacts").mkdir(parents=True)
    (home / "with-files" / "artifacts" / "spec.yaml").touch()
    folder.mkdir(exist_ok=True)
    database = folder / "mlflow.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE experiments (experiment_id INTEGER, artifact_location TEXT)")
        connection.execute("CREATE TABLE runs (run_uuid TEXT, artifact_uri TEXT)")
        locations = [(0, f"{home.as_uri()}/0"), (1, home.as_uri()), (2, "s3://bucket/mlartifacts"), (3, None)]
        connection.executemany("INSERT INTO experiments VALUES (?, ?)", locations)
        connection.executemany("INSERT INTO runs VALUES (?, ?)", [(r, f"{home.as_uri()}/{r}/artifacts") for r in RUNS])
    return database


def places(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT artifact_location FROM experiments UNION ALL SELECT artifact_uri FROM runs")
        return [place for (place,) in rows]


def expected(home: Path) -> list[str | None]:
    uri = home.as_uri()
    return [f"{uri}/0", uri, "s3://bucket/mlartifacts", None, *(f"{uri}/{run}/artifacts" for run in RUNS)]


def test_a_moved_database_names_the_new_places(tmp_path: Path) -> None:
    made_database(tmp_path / "old 100%")
    new = (tmp_path / "old 100%").rename(tmp_path / "new?")
    home = new / "mlartifacts"
    assert follow_move(new / "mlflow.db", home) == [tmp_path / "old 100%" / "mlartifacts"]
    assert places(new / "mlflow.db") == expected(home)
    assert follow_move(new / "mlflow.db", home) == []


def test_a_database_that_was_not_moved_stays_as_it_is(tmp_path: Path) -> None:
    database = made_database(tmp_path / "here")
    (tmp_path / "link").symlink_to(tmp_path / "here")
    for home in (tmp_path / "here" / "mlartifacts", tmp_path / "link" / "mlartifacts"):
        assert follow_move(database, home) == []
    assert places(database) == expected(tmp_path / "here" / "mlartifacts")


def test_a_copy_has_its_own_files(tmp_path: Path) -> None:
    database = made_database(tmp_path / "here")
    shutil.copytree(tmp_path / "here", tmp_path / "copy")
    assert follow_move(tmp_path / "copy" / "mlflow.db", tmp_path / "copy" / "mlartifacts")
    assert places(tmp_path / "copy" / "mlflow.db") == expected(tmp_path / "copy" / "mlartifacts")
    assert places(database) == expected(tmp_path / "here" / "mlartifacts")


def test_files_that_stayed_behind_are_still_found(tmp_path: Path) -> None:
    home = made_database(tmp_path / "old").parent / "mlartifacts"
    (tmp_path / "new").mkdir()
    database = (home.parent / "mlflow.db").rename(tmp_path / "new" / "mlflow.db")
    assert follow_move(database, tmp_path / "new" / "mlartifacts") == []
    assert places(database) == expected(home)
    (tmp_path / "new" / "mlartifacts").mkdir()  # with files of later runs
    assert follow_move(database, tmp_path / "new" / "mlartifacts") == [home]
    assert places(database)[-2:] == [
        f"{home.as_uri()}/with-files/artifacts",
        f"{(tmp_path / 'new' / 'mlartifacts').as_uri()}/without/artifacts",
    ]


def test_places_that_have_another_name_are_somebody_elses(tmp_path: Path) -> None:
    database = made_database(tmp_path / "here", home=tmp_path / "gone" / "files")
    shutil.rmtree(tmp_path / "gone")
    assert follow_move(database, tmp_path / "here" / "mlartifacts") == []
    assert places(database) == expected(tmp_path / "gone" / "files")


def test_a_database_without_tables_is_left_to_mlflow(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").touch()
    assert follow_move(tmp_path / "mlflow.db", tmp_path / "mlartifacts") == []
