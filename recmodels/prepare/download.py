"""Download a file to a cache folder: with progress, a checksum, and going on where an earlier attempt broke off."""

import contextlib
import json
import logging
import os
import re
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pooch
import requests
import urllib3
from filelock import FileLock

from recmodels.errors import DataError
from recmodels.prepare.progress import bytes_bar, size

CHUNK = 1 << 20
TIMEOUT = 30  # seconds without a byte
MIRROR = "pass `base_url` for a mirror, or local files"

log = logging.getLogger("mirrortune.prepare")


def download(url: str, folder: Path, checksum: str | None = None, retries: int = 4, wait: float = 1.0) -> Path:
    """Download `url` to `folder` unless it is there already (and has the `checksum`); return its path.

    `checksum`: sha256 in hex, or any that pooch knows, as in `md5:...`. An unfinished download is kept as `<name>.part`
    and completed by the next call if the server still has the same file and takes range requests. A broken connection
    is tried again after `wait`, 2 `wait`, ... seconds, at most `retries` times in a row without a byte gained. Raises
    DataError, one line that says what to do.
    """
    name = url.rpartition("/")[2]
    pooch.get_logger().setLevel(logging.WARNING)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{name}.lock"):  # lest two processes complete the same part
            resuming = _Resuming(folder / name, retries, wait)
            return Path(pooch.retrieve(url, checksum, name, folder, downloader=resuming))
    except OSError as error:
        reason = f"cannot be written ({error.strerror or error})"
        raise DataError(f"{folder / name}: {reason}; once it can, run the same command again") from None
    except DataError:
        raise
    except ValueError as error:  # pooch's, for a checksum that is wrong or of an unknown kind
        raise DataError(f"{url}: {str(error).partition(' The ')[0]}") from None


class _BrokenOffError(Exception):
    """Tells that a connection ended before the file did, so that a new attempt may help."""


class _Resuming:
    """Complete `<target>.part`, then move it to the path that pooch gives: a downloader for pooch."""

    def __init__(self, target: Path, retries: int, wait: float):
        self.part = target.with_name(f"{target.name}.part")
        self.note = target.with_name(f"{target.name}.part.json")  # address and version of the part's file
        self.retries, self.wait = retries, wait

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        failures = 0
        while True:
            before = self._so_far()
            try:
                self._fetch(url)
                break
            except _BrokenOffError as error:
                failures = 1 if (so_far := self._so_far()) > before else failures + 1
                if failures > self.retries:
                    again = f"run the same command again, it goes on from {size(so_far)}"
                    advice = again if so_far else f"check the connection, or {MIRROR}"
                    raise DataError(f"{url}: {error}; {advice}") from None
                log.info("%s: %s; trying again", url, error)
                time.sleep(self.wait * failures)
        os.replace(self.part, output_file)
        self.note.unlink(missing_ok=True)

    def _so_far(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _fetch(self, url: str) -> None:
        """Fetch the rest of the part. Raises _BrokenOffError if a new attempt may help, else DataError."""
        so_far, version = self._so_far(), self._version_of_part(url)
        headers = {"Accept-Encoding": "identity"}
        if so_far and version:
            headers |= {"Range": f"bytes={so_far}-", "If-Range": version}
        try:
            with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
                self._receive(url, response, so_far)
        except requests.exceptions.SSLError as error:
            raise DataError(f"{url}: the secure connection was refused ({_reason(error)})") from None
        except (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError) as error:
            raise _BrokenOffError(_reason(error)) from None
        except requests.RequestException as error:
            raise DataError(f"{url}: cannot be downloaded ({error}), expected an http or https address") from None

    def _receive(self, url: str, response: requests.Response, so_far: int) -> None:
        if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            if _content_range(response)[-1:] != [so_far]:
                self.part.unlink()
                raise _BrokenOffError("the file on the server has changed")
            return  # the part is the whole file
        answer = f"the server answers {response.status_code} {response.reason}"
        if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise _BrokenOffError(answer)
        if response.status_code not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
            raise DataError(f"{url}: {answer}, expected the file; {MIRROR}")
        resumed = response.status_code == HTTPStatus.PARTIAL_CONTENT
        if resumed and _content_range(response)[:1] != [so_far]:
            self.part.unlink()
            raise _BrokenOffError("the server sent another part of the file than was requested")
        done = so_far if resumed else 0
        length = response.headers.get("Content-Length", "")
        total = done + int(length) if length.isdigit() else None
        etag = response.headers.get("ETag", "W/")
        version = response.headers.get("Last-Modified") if etag.startswith("W/") else etag  # If-Range: strong ones only
        self.note.write_text(json.dumps({"url": url, "version": version}))
        with self.part.open("ab" if resumed else "wb") as file, bytes_bar(self.part.stem, total) as show:
            for chunk in response.raw.stream(CHUNK, decode_content=False):
                done += file.write(chunk)
                show(done)
        if total is not None and done < total:
            raise _BrokenOffError(f"broke off at {size(done)} of {size(total)}")

    def _version_of_part(self, url: str) -> str | None:
        """Return the version of the part; None if it is not known, so that the download begins anew."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            note = json.loads(self.note.read_text())
            version = note.get("version")
            return version if note.get("url") == url and isinstance(version, str) else None
        return None


def _content_range(response: requests.Response) -> list[int]:
    """Return first byte, last byte and size from the header `Content-Range`; `bytes */SIZE` gives the size alone."""
    return [int(text) for text in re.findall(r"[0-9]+", response.headers.get("Content-Range", ""))]


def _reason(error: Exception) -> str:
    """Describe an error in a few words; the nested messages of urllib3 are long."""
    reasons = {
        "NameResolutionError": "the name of the server cannot be resolved",
        "Connection refused": "the server refuses connections",
        "IncompleteRead": "the connection broke off",
        "Connection reset": "the connection broke off",
        "timed out": f"no answer within {TIMEOUT} s",
    }
    return next((why for sign, why in reasons.items() if sign in str(error)), f"no connection ({type(error).__name__})")
