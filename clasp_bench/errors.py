"""Faults a user can mend. The message is one sentence that names the file, line or key, and the mend.

The command line prints the sentence and exits with 2; with ``-v`` the traceback follows.
"""


class BenchError(Exception):
    """Base of every fault that is the input's and not the code's.

    Attributes:
        exit_code: What the command line ends with.
        everywhere: Whether it is raised in all processes of the run, so that one has to say it.
    """

    exit_code = 2
    everywhere = False


class DataError(BenchError):
    """A photo, an annotation or a folder is missing, broken, or not what its format says."""


class UnreadableImage(DataError):
    """An image file cannot be decoded."""


class LabelMismatch(BenchError):
    """A label store was made for other images than the ones it is used with."""

    everywhere = True


class ConfigError(BenchError):
    """A config has an unknown key, a wrong value, or names a thing that does not exist."""

    everywhere = True


class ContractError(BenchError):
    """Weights do not fit the model they are loaded into."""

    everywhere = True


class Diverged(BenchError):
    """Training went wrong for good: a loss or weights that are not finite, or features that are all the same."""

    everywhere = True


class Preempted(BenchError):
    """The run was asked to make room (SIGTERM) and has saved itself; nothing is lost."""

    everywhere = True
    exit_code = 75  # sysexits.h, EX_TEMPFAIL: try again


class RecordError(BenchError):
    """A run record is broken, foreign, or from a newer version."""
