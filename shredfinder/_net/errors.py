"""How an answer of a service can fall short; each knows the flag that its row gets."""

from shredfinder.imaging.checks import CutoutFlag

__all__ = ["AnswerError", "BadAnswerError", "NoCoverageError", "StoppedError", "TransientError"]


class AnswerError(Exception):
    """An answer holds no cutout.

    Parameters
    ----------
    message : str
        What came instead.
    flag : CutoutFlag, optional
        What the row is flagged with.
    """

    flag = CutoutFlag.FAILED

    def __init__(self, message, flag=None):
        super().__init__(message)
        self.flag = flag or self.flag


class TransientError(AnswerError):
    """Another try may well succeed: too many requests, server trouble, a cut connection.

    Parameters
    ----------
    message : str
        What happened.
    flag : CutoutFlag, optional
        What the row is flagged with if no try succeeds.
    retry_after : float, optional
        Seconds that the server asks to wait.

    Attributes
    ----------
    exhausted : bool
        Whether all tries were made: those around them make no more.
    """

    exhausted = False

    def __init__(self, message, flag=None, retry_after=0.0):
        super().__init__(message, flag)
        self.retry_after = retry_after


class NoCoverageError(AnswerError):
    """The service says that it has no image there."""

    flag = CutoutFlag.NO_COVERAGE


class BadAnswerError(AnswerError):
    """The answer is complete but is not what was asked for; asking again won't change it."""


class StoppedError(AnswerError):
    """The run was stopped before there was an answer."""
