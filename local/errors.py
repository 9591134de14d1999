"""Errors that are told to the user in one message, without a stack trace."""


class StackError(Exception):
    """The stack can't do what was asked; the message says why and what to do."""
