"""The error whose message is meant for a person."""


class UserError(Exception):
    """A file, a parameter or another value from the user can't be used.

    The message names the problem, its place and the remedy. A retry doesn't help.
    """
