"""Where checkpoints are kept outside the search's folder: a path that every machine sees, or an object store.

Their names are never used twice, so that neither a kill nor a second search damages one; the trial's folder names the
one that counts, in stored.json.
"""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pyarrow import ArrowException
from pyarrow.fs import FileSystem, LocalFileSystem, copy_files

from recmodels.errors import UserError
from recmodels.files import replacing
from tuning.execution.place_fault import PlaceFault

STORED = "stored.json"
"""In a trial's folder: file name -> where the storage has it."""
PAUSES = (2.0, 10.0, 30.0)
"""Seconds before a trial tries again to reach the storage; the libraries try a few times in a row by themselves."""
REASONS = {
    "ACCESS_DENIED": "access is denied to these credentials",
    "INVALID_ACCESS_KEY_ID": "its credentials are refused",
    "SIGNATURE_DOES_NOT_MATCH": "its credentials are refused",
    "InvalidAccessKeyId": "its credentials are refused",
    "SignatureDoesNotMatch": "its credentials are refused",
    "HTTP status 403": "its credentials are refused, or there are none",
    "NO_SUCH_BUCKET": "there is no such bucket",
    "NoSuchBucket": "there is no such bucket",
    "NETWORK_CONNECTION": "nothing answers there",
}
"""What the libraries say -> what to say instead."""


@dataclass(frozen=True)
class Storage:
    """A place for checkpoints. `place`: an absolute path, or a URI of pyarrow's file systems such as s3://bucket/x."""

    place: str

    @classmethod
    def of(cls, text: str) -> "Storage":
        """Return the storage that --storage names. UserError for a text that names none, or that has a password."""
        if "://" not in text:
            return cls(str(Path(text).expanduser().absolute()))
        parts = urlsplit(text)
        if "@" in parts.netloc:
            hidden = text.replace(parts.netloc, f"...@{parts.netloc.rpartition('@')[2]}")
            raise UserError(
                f"--storage {hidden}: expected no credentials in it, as it is written down: the environment has them"
            )
        if parts.scheme not in ("s3", "gs", "gcs", "hdfs", "abfs", "abfss", "file") or not parts.path + parts.netloc:
            raise UserError(f"--storage {text}: expected a path, or a URI such as s3://bucket/prefix")
        return cls(text)

    def check(self) -> str:
        """Write a file and return where it is, for `readable` and `remove`. PlaceFault if it cannot be written."""
        with _told(self.place):
            filesystem, path = _located(self._named(f"probe-{uuid.uuid4().hex}"))
            _make_folder_of(filesystem, path)
            with filesystem.open_output_stream(path) as stream:
                stream.write(b"probe")
        return self._named(path.rpartition("/")[2])

    def put(self, source: Path, below: str) -> str:
        """Store a file under a new name in a folder, and return where it is. PlaceFault if that fails for a while."""
        place = self._named(f"{below}/{source.stem}-{uuid.uuid4().hex}{source.suffix}")

        def copy() -> None:
            filesystem, path = _located(place)
            _make_folder_of(filesystem, path)
            copy_files(str(source), path, source_filesystem=LocalFileSystem(), destination_filesystem=filesystem)

        _patiently(place, copy)
        return place

    def _named(self, name: str) -> str:
        place, mark, query = self.place.partition("?") if "://" in self.place else (self.place, "", "")
        return f"{place.rstrip('/')}/{name}{mark}{query}"


def fetch(place: str, target: Path) -> None:
    """Copy what is stored at `place` to a file. PlaceFault if that fails for a while."""

    def copy() -> None:
        filesystem, path = _located(place)
        with replacing(target) as new:
            copy_files(path, str(new), source_filesystem=filesystem, destination_filesystem=LocalFileSystem())

    _patiently(place, copy)


def readable(place: str) -> None:
    """Raise PlaceFault, one line, unless what is stored at `place` can be read here."""
    with _told(place):
        filesystem, path = _located(place)
        with filesystem.open_input_stream(path) as stream:
            stream.read()


def remove(place: str) -> None:
    """Remove what is stored at `place`, if it can be: what is left there harms nothing."""
    with suppress(OSError, ArrowException):
        filesystem, path = _located(place)
        filesystem.delete_file(path)


def _located(place: str) -> tuple[FileSystem, str]:
    found: tuple[FileSystem, str] = FileSystem.from_uri(place)
    return found


def _make_folder_of(filesystem: FileSystem, path: str) -> None:
    if isinstance(filesystem, LocalFileSystem):  # an object store has none, and asks for rights to make some
        filesystem.create_dir(path.rpartition("/")[0], recursive=True)


def _patiently(place: str, work: Callable[[], None]) -> None:
    for pause in (*PAUSES, None):
        try:
            with _told(place):
                work()
            return
        except PlaceFault:
            if pause is None:
                raise
            time.sleep(pause)


@contextmanager
def _told(place: str) -> Iterator[None]:
    """Raise what the libraries raise in the block as a PlaceFault of one line."""
    try:
        yield
    except (OSError, ArrowException) as error:
        said = " ".join(str(error).split())
        reason = next((told for phrase, told in REASONS.items() if phrase in said), said)
        raise PlaceFault(f"--storage {place.partition('?')[0]}: {reason}") from None
