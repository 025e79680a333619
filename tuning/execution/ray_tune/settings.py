"""Environment variables of Ray. Ray reads some of them when it is imported, so this module does not import it."""

import os

SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",  # else 2.59+ warns at each local start and writes a token file
    "RAY_AIR_NEW_OUTPUT": "0",  # the new output prints a banner however quiet it is told to be
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a trial that fails in its first epoch has no metric to report
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # nothing is ever restored from Ray's snapshots
}
LOCAL = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Despite its name it works on Linux too: Ray's servers listen on loopback alone."""


def prepare(address: str | None) -> None:
    """Set what the user has not, for Ray on this machine alone (None) or on a cluster; before ray is imported."""
    for name, value in (SETTINGS | (LOCAL if address is None else {})).items():
        os.environ.setdefault(name, value)
