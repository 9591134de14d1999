"""The errors whose messages are meant for a person."""


class UserError(Exception):
    """A file, a parameter or another value from the user can't be used.

    The message names the problem, its place and the remedy. A retry doesn't help.
    """


class ServiceError(Exception):
    """The prediction service doesn't answer, or has no room now. A retry may help."""
