"""A server of a folder's files that knows range requests and breaks off on demand."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Site:
    """`break_after`: bytes of a file after which the connection ends, one number per request, in turn. `requests`:
    path and range of each. `etag` None: the server names no version."""

    folder: Path
    url: str = ""
    break_after: list[int] = field(default_factory=list)
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    etag: str | None = '"1"'
    ranges: bool = True


class Handler(BaseHTTPRequestHandler):
    def __init__(self, site: Site, *arguments: object) -> None:
        self.site = site
        super().__init__(*arguments)  # type: ignore[arg-type]

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        wanted = self.headers.get("Range") if self.site.ranges else None
        self.site.requests.append((self.path, wanted))
        path = self.site.folder / self.path.lstrip("/")
        if not path.is_file():
            return self.send_error(404)
        content = path.read_bytes()
        start = 0
        if wanted and self.headers.get("If-Range") == self.site.etag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        if start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if self.site.etag:
            self.send_header("ETag", self.site.etag)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        stop = start + self.site.break_after.pop(0) if self.site.break_after else len(content)
        self.wfile.write(content[start:stop])


@contextmanager
def served(folder: Path) -> Iterator[Site]:
    site = Site(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, site))
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
