"""The error of this room."""


class LakeError(Exception):
    """The lake cannot be read or written as asked; the message says what to do."""
