"""The folder of a local Ray's sockets and logs. Does not import Ray."""

import os
import stat
import sys
from pathlib import Path

from recmodels.errors import UserError

LONGEST_SOCKET = 103 if sys.platform == "darwin" else 107
"""Bytes of a Unix socket's path: sun_path without its final zero, unix(7)."""
SHORT_PLACES = ("/tmp", "/var/tmp", "/dev/shm")


def ray_folder() -> Path:
    """Return an absolute folder for Ray's files that can be written and leaves room for the paths of its sockets.

    It is Ray's own choice where that does, else one of this user alone in a short place. UserError if there is none.
    """
    usual = usual_folder()
    if fits(usual) and writable(usual):
        return usual
    for place in SHORT_PLACES:
        own = Path(place, f"mirrortune-{os.getuid()}")
        if private(own):
            return own / "ray"  # Ray opens its folder to everybody, but not the one above
    tried = ", ".join(map(str, (usual, *SHORT_PLACES)))
    needed = f"a folder that it can write, of at most {longest()} ASCII characters"
    raise UserError(f"Ray needs {needed}, but neither of {tried} does: set RAY_TMPDIR")


def usual_folder() -> Path:
    """Return the folder that Ray would take: in RAY_TMPDIR, else TMPDIR, else /tmp."""
    return Path(os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp", "ray").absolute()


def fits(folder: Path) -> bool:
    """Tell whether Ray takes the folder: all ASCII, and the paths of its sockets in there are short enough."""
    return str(folder).isascii() and (sys.platform == "win32" or len(str(folder)) <= longest())


def longest() -> int:
    """Return the most bytes of the path of Ray's folder."""
    name = f"/session_2026-01-01_00-00-00_000000_{os.getpid()}/sockets/plasma_store"  # the longest of its sockets
    return LONGEST_SOCKET - len(name)


def writable(folder: Path) -> bool:
    """Make the folder if it is missing; tell whether files can be made in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def private(folder: Path) -> bool:
    """Make the folder if it is missing; tell whether it is this user's, and then close it to all others.

    A link, or a folder that somebody else has put there, is not taken.
    """
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        state = folder.lstat()
        if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid():
            return False
        folder.chmod(0o700)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)
