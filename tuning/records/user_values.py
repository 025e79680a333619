"""The validation metric of every user at a trial's best epoch: what differences between trials are worth follows from
these. Kept of trials that came to their own end. Loads numpy, which the records beside it do without."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from recmodels.errors import UserError
from recmodels.files import replacing
from tuning.records.folder import SearchFolder, TrialFolder

UserValues = NDArray[np.float32]
"""A metric of each user with a positive in validation, (n,), users ascending."""


def write_user_values(trial: TrialFolder, values: NDArray[np.floating]) -> None:
    """Write users.npy of the trial, whole; four bytes a user."""
    with replacing(trial.user_values, sync=True) as temporary, temporary.open("wb") as file:
        np.save(file, values.astype(np.float32))
    trial.written(trial.user_values.name)


def read_user_values(folder: SearchFolder, names: Iterable[str]) -> dict[str, UserValues]:
    """Return name -> values of the trials that have them; those of older searches and of stopped trials do not.

    UserError for a file that is damaged, or has other users than the file of the first trial.
    """
    found: dict[str, UserValues] = {}
    for name in names:
        path = folder.trial(name).user_values
        if not path.exists():
            continue
        try:
            values = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise UserError(f"{path}: not the values of users ({str(error).splitlines()[0]})") from None
        if not isinstance(values, np.ndarray) or values.dtype != np.float32 or values.ndim != 1:
            raise UserError(f"{path}: expected a list of float32 in an .npy file, one a user")
        first = next(iter(found.values()), values)
        if len(values) != len(first):
            expected = f"expected {len(first):,} as of trial {next(iter(found))}"
            raise UserError(f"{path}: {len(values):,} users, {expected}")
        found[name] = values
    return found
