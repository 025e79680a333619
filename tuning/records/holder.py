"""Who runs a search: the process that holds the lock of its folder."""

import fcntl
import os
from pathlib import Path


def is_held(lock: Path) -> bool:
    """Return whether a process holds a lock file, on this machine or, where the file system tells, on another one.

    Looks for a moment only, and leaves nothing behind.
    """
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def pid_of(lock: Path) -> int | None:
    """Return the process of this machine that holds a lock file; None if none does, or if it cannot be seen."""
    try:
        inode, table = lock.stat().st_ino, Path("/proc/locks").read_text(encoding="ascii")
    except OSError:
        return None
    for line in table.splitlines():
        words = line.split()
        if words[1] == "FLOCK" and words[5].endswith(f":{inode}") and _has_open(int(words[4]), lock):
            return int(words[4])
    return None


def _has_open(pid: int, path: Path) -> bool:
    """Whether a process has the file open: another file system may have a file of the same number."""
    try:
        return any(os.path.samefile(each.path, path) for each in os.scandir(f"/proc/{pid}/fd") if each.is_file())
    except OSError:
        return False
