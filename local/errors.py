"""Errors reported to the user in one message, without a stack trace."""


class StackError(Exception):
    """The stack can't carry out a command; the message gives the reason and the remedy."""
