"""Downloads: what broke off goes on, what changed begins anew, and each fault is one line."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from recmodels.errors import DataError
from recmodels.prepare.download import download
from tests.recmodels.prepare.range_server import Site, served
from tests.recmodels.prepare.raw_files import full_disk

CONTENT = np.random.default_rng(0).bytes(300_000)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "file.b").write_bytes(CONTENT)
    with served(tmp_path / "site") as site:
        yield site


def fetch(site: Site, tmp_path: Path, name: str = "file.b", **options: object) -> bytes:
    return download(f"{site.url}/{name}", tmp_path / "cache", **{"retries": 0, "wait": 0, **options}).read_bytes()


def test_a_file_comes_once(site: Site, tmp_path: Path) -> None:
    assert fetch(site, tmp_path) == CONTENT
    assert fetch(site, tmp_path) == CONTENT
    assert site.requests == [("/file.b", None)]
    assert sorted(path.name for path in (tmp_path / "cache").iterdir() if path.suffix != ".lock") == ["file.b"]


def test_the_next_call_goes_on_where_the_connection_broke_off(site: Site, tmp_path: Path) -> None:
    site.break_after = [100_000]
    with pytest.raises(DataError, match=r"file\.b: the connection broke off; run the same .* 100\.0 kB$"):
        fetch(site, tmp_path)
    assert not (tmp_path / "cache" / "file.b").exists()
    assert fetch(site, tmp_path) == CONTENT
    assert site.requests[1:] == [("/file.b", "bytes=100000-")]


def test_one_call_tries_again_and_goes_on(site: Site, tmp_path: Path) -> None:
    site.break_after = [100_000, 50_000, 50_000]
    assert fetch(site, tmp_path, retries=1) == CONTENT
    assert [wanted for _, wanted in site.requests] == [None, "bytes=100000-", "bytes=150000-", "bytes=200000-"]


@pytest.mark.parametrize("change", ["another version", "no versions", "no ranges"])
def test_begins_anew_where_the_part_cannot_be_completed(site: Site, tmp_path: Path, change: str) -> None:
    site.etag = None if change == "no versions" else site.etag
    site.break_after = [100_000]
    with pytest.raises(DataError, match="broke off"):
        fetch(site, tmp_path)
    new = CONTENT
    if change == "another version":
        site.etag, new = '"2"', CONTENT[::-1]
        (site.folder / "file.b").write_bytes(new)
    site.ranges = change != "no ranges"
    assert fetch(site, tmp_path) == new


def test_a_part_that_is_whole_is_taken(site: Site, tmp_path: Path) -> None:
    site.break_after = [100_000]
    with pytest.raises(DataError):
        fetch(site, tmp_path)
    (tmp_path / "cache" / "file.b.part").write_bytes(CONTENT)
    assert fetch(site, tmp_path) == CONTENT


def test_the_checksum_decides(site: Site, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not match the known hash") as fault:
        fetch(site, tmp_path, checksum="0" * 64)
    assert "\n" not in str(fault.value)
    assert not (tmp_path / "cache" / "file.b").exists()
    assert fetch(site, tmp_path, checksum=hashlib.sha256(CONTENT).hexdigest()) == CONTENT
    (tmp_path / "cache" / "file.b").write_bytes(b"damaged")
    assert fetch(site, tmp_path, checksum=hashlib.sha256(CONTENT).hexdigest()) == CONTENT


def test_a_missing_file_is_not_tried_again(site: Site, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.gz: the server answers 404 Not Found, expected the file; pass"):
        fetch(site, tmp_path, "nothing.gz", retries=3)
    assert len(site.requests) == 1


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    for url, reason in (
        ("http://127.0.0.1:9/file.b", "the server refuses connections; check the connection"),
        ("http://no-such-name.invalid/file.b", "check the connection, or pass `base_url` for a mirror, or local files"),
        ("nonsense/file.b", "expected an http or https address"),
    ):
        with pytest.raises(DataError, match=reason):
            download(url, tmp_path / "cache", retries=0)


def test_a_full_disk(site: Site, tmp_path: Path) -> None:
    with (
        full_disk(100_000),
        pytest.raises(DataError, match=r"cache/file\.b: cannot be written \(.*\); once it can"),
    ):
        fetch(site, tmp_path)
    assert fetch(site, tmp_path) == CONTENT
    assert site.requests[-1][1] == "bytes=100000-"
