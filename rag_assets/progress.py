"""How work tells of its progress."""

from collections.abc import Callable

Tell = Callable[[str], None]  # takes a line for a person
