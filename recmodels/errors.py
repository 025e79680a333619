"""The errors a user can cause; each message is one line that says where, what was found, what was expected."""


class UserError(ValueError):
    """Bad input: a door prints it as one line and exits with code 2."""


class DataError(UserError):
    """A data set is not in the benchmark's format; the message names the file and the first offending row."""


class TrainingDiverged(RuntimeError):
    """The loss became NaN or infinite; the message names the epoch, the batch and the value."""
