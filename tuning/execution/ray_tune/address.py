"""Where Ray runs: on this machine alone, or on a cluster that somebody has started. Does not import Ray."""

import os
import re
from dataclasses import dataclass

from recmodels.errors import UserError

VARIABLE = "RAY_ADDRESS"
"""Ray's own variable; Ray sets it for what `ray job submit` runs."""
FORMS = "expected HOST:PORT of a Ray cluster's head such as 10.0.0.5:6379, auto, or local"
HINTS = {
    "ray": "a search cannot be run through Ray Client: start it on a node of the cluster, or with `ray job submit`",
    "http": "that is a dashboard's address, for `ray job submit`",
    "https": "that is a dashboard's address, for `ray job submit`",
}


@dataclass(frozen=True)
class Address:
    """Where Ray runs.

    `cluster`: HOST:PORT, or auto for one that this machine is a node of; None: on this machine alone. `source`: what
    names it, for messages.
    """

    cluster: str | None
    source: str

    @classmethod
    def of(cls, option: str | None) -> "Address":
        """Return the address that --ray-address names, else RAY_ADDRESS; both may be missing or empty.

        As for Ray, `auto` means RAY_ADDRESS where it is set. UserError for an address of another form.
        """
        text, source = (option or "").strip(), "--ray-address"
        variable = os.environ.get(VARIABLE, "").strip()
        if variable and text in ("", "auto"):
            text, source = variable, VARIABLE
        if text in ("", "local"):
            return cls(None, source)
        address = cls(text, source)
        if text != "auto":
            address.host_and_port()
        return address

    def host_and_port(self) -> tuple[str, int]:
        """Split the address of a cluster that is not `auto`. UserError for one of another form."""
        found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%\w]+)\]|([^\s:/\[\]]+)):([0-9]{1,5})", self.cluster or "")
        if not found or not 1 <= int(found[3]) <= 65535:
            hint = HINTS.get((self.cluster or "").partition("://")[0])
            raise UserError(f"{self}: {FORMS}" + (f" ({hint})" if hint else ""))
        return found[1] or found[2], int(found[3])

    def __str__(self) -> str:
        """Return the address as messages name it: `--ray-address 10.0.0.5:6379`."""
        return f"{self.source} {self.cluster}" + " (--ray-address local does without)" * (self.source == VARIABLE)
