"""Checkpoints in a folder and in S3, by a server of this machine: written, read, removed, and refused in one line."""

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from recmodels.errors import UserError
from tests.tuning.execution.s3 import CREDENTIALS, Bucket, s3_server
from tests.tuning.tracking.mlflow_server import free_port
from tuning.execution import storage as storage_module
from tuning.execution.place_fault import PlaceFault
from tuning.execution.storage import Storage, fetch, readable, remove


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with pytest.MonkeyPatch.context() as patch, s3_server() as bucket:
        for name in [*os.environ]:
            if name.startswith("AWS_") or name.lower().endswith("_proxy"):
                patch.delenv(name)
        for name, text in CREDENTIALS.items():
            patch.setenv(name, text)
        yield bucket


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_module, "PAUSES", (0.0,))


def round_trip(storage: Storage, here: Path) -> list[str]:
    """The places of a file that is stored twice, read and removed."""
    (here / "last.pt").write_bytes(os.urandom(1000))
    first, second = (storage.put(here / "last.pt", "0003") for _ in range(2))
    remove(first)
    with pytest.raises(PlaceFault):
        readable(first)
    fetch(second, here / "again.pt")
    assert (here / "again.pt").read_bytes() == (here / "last.pt").read_bytes()
    with pytest.raises(PlaceFault):
        fetch(first, here / "again.pt")
    assert (here / "again.pt").read_bytes() == (here / "last.pt").read_bytes()
    remove(second)
    remove(second)
    probe = storage.check()
    readable(probe)
    remove(probe)
    return [first, second]


def test_a_folder_keeps_files_under_names_that_are_used_once(tmp_path: Path) -> None:
    first, second = round_trip(Storage.of(str(tmp_path / "a folder")), tmp_path)
    assert Path(first).parent == Path(second).parent == tmp_path / "a folder" / "0003"
    assert first != second
    assert not [each for each in (tmp_path / "a folder").rglob("*") if each.is_file()]


def test_s3_keeps_files_below_its_prefix(tmp_path: Path, bucket: Bucket) -> None:
    first, _ = round_trip(Storage.of(bucket.uri("bucket/some/prefix")), tmp_path)
    assert first.startswith("s3://bucket/some/prefix/0003/last-")
    assert first.endswith(f".pt?{bucket.query}")


def test_what_s3_refuses_is_one_line(bucket: Bucket) -> None:
    with pytest.raises(PlaceFault, match=r"^--storage s3://other/x: there is no such bucket$"):
        Storage.of(bucket.uri("other/x")).check()
    nothing = quote(f"http://127.0.0.1:{free_port()}", safe="")
    with pytest.raises(PlaceFault, match=r"^--storage s3://bucket/x: nothing answers there$"):
        Storage.of(f"s3://bucket/x?endpoint_override={nothing}").check()


def test_refused_credentials_are_one_line(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """moto checks them after its first free requests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("moto.core.responses.settings.INITIAL_NO_AUTH_ACTION_COUNT", 0)
        with pytest.raises(PlaceFault, match=r"^--storage s3://bucket/x: its credentials are refused$"):
            Storage.of(bucket.uri("bucket/x")).check()


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PlaceFault, match=r"^--storage .*/file/below: .*Not a directory"):
        Storage.of(str(tmp_path / "file" / "below")).check()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "s3://key:secret@bucket/x",
            r"--storage s3://\.\.\.@bucket/x: expected no credentials in it, as it is written down: the environment .*",
        ),
        ("ftp://host/x", r"--storage ftp://host/x: expected a path, or a URI such as s3://bucket/prefix"),
        ("s3://", r"--storage s3://: expected a path, or a URI such as s3://bucket/prefix"),
    ],
)
def test_a_place_of_another_form_is_one_line(text: str, line: str) -> None:
    with pytest.raises(UserError, match=f"^{line}$") as error:
        Storage.of(text)
    assert "secret" not in str(error.value)


def test_a_path_is_that_of_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Storage.of("below").place == str(tmp_path / "below")
