"""Errors reported to the user in one message, without a stack trace."""


class BackupError(Exception):
    """A backup can't be made or restored; the message gives the reason and the remedy."""
