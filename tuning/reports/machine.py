"""The memory of this machine, or of the container that the process runs in."""

from pathlib import Path

GIB = 2**30
GROUP = Path("/sys/fs/cgroup")


def memory(meminfo: Path = Path("/proc/meminfo"), group: Path = GROUP) -> tuple[float, float] | None:
    """Return the memory in use and all there is, in GiB, files that the system may drop not counted; None where the
    system does not say.

    `group`: the control group of a container, whose limit counts if it is below the machine's.
    """
    try:
        fields = dict(line.split(":") for line in meminfo.read_text(encoding="ascii").splitlines())
        total, free = (1024 * int(fields[name].split()[0]) for name in ("MemTotal", "MemAvailable"))
    except (OSError, ValueError, KeyError):
        return None
    used = total - free
    try:
        limit = int((group / "memory.max").read_text(encoding="ascii"))
        held = int((group / "memory.current").read_text(encoding="ascii"))
        parts = dict(line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
        if limit < total:
            used, total = held - int(parts["inactive_file"]), limit
    except (OSError, ValueError, KeyError):  # no such group, or `max`: no limit
        pass
    return used / GIB, total / GIB
