"""The error with a message that is meant for a person."""


class UserError(Exception):
    """Something the user gave (a file, a parameter) can't be used.

    The message says what, where and how to mend it. Trying again doesn't help.
    """
