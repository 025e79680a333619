"""Environment variables of Ray. Ray reads some of them when it is imported, so this module does not import it."""

import os

from tuning.execution.ray_tune.address import Address

SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # the new output prints a banner however quiet it is told to be
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a trial that fails in its first epoch has no metric to report
    "TUNE_FORCE_TRIAL_CLEANUP_S": "3600",  # a worker that ends may have gigabytes to save
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # nothing is ever restored from Ray's snapshots
}
LOCAL = {
    "RAY_AUTH_MODE": "disabled",  # else 2.59+ warns at each local start and writes a token file; a cluster may want it
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # despite its name: Ray's servers listen on loopback alone
}


def prepare(option: str | None) -> Address:
    """Return where Ray runs, and set what the user has not; before Ray is imported.

    `option`: the value of --ray-address. UserError for an address that is none.
    """
    address = Address.of(option)
    for name, value in (SETTINGS | (LOCAL if address.cluster is None else {})).items():
        os.environ.setdefault(name, value)
    return address
