"""``access.yaml`` as a running process sees it: read again whenever it has changed."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

from rag_assets.access.rules import FILE, Rules, read_rules
from rag_assets.errors import RagError


class AccessError(RagError):
    """Who may read what cannot be told, so nobody may."""


Readers = Callable[[str], frozenset[str] | None]  # of a uri: groups, None for everyone


def readers_in(home: Path | None) -> Readers:
    """Who may read each document, as a home's file says now; everyone where there is none.

    Raises:
        YamlFileError: the file is wrong.
    """
    path = None if home is None else home / FILE
    if path is None or not path.exists():
        return lambda _uri: None
    return read_rules(path).readers


class AccessFile:
    """The rules of a home, as they are now; threads share it.

    Args:
        home: the folder that may hold the file.
        is_required: whether it has to: without it nobody may read anything.
    """

    def __init__(self, home: Path, *, is_required: bool = False) -> None:
        self.path = home / FILE
        self._is_required = is_required
        self._stamp: tuple[int, ...] | None = None
        self._rules: Rules | None = None
        self._lock = threading.Lock()

    def rules(self) -> Rules | None:
        """The rules; None where there is no file, and was none since the process began.

        Raises:
            YamlFileError: the file is wrong.
            AccessError: it was there and is gone, or it has to be there.
        """
        with self._lock:
            try:
                of = os.stat(self.path)
            except FileNotFoundError:
                if self._stamp is None and not self._is_required:
                    return None
                raise AccessError(
                    f"{self.path} is gone; bring it back"
                    if self._is_required
                    else f"{self.path} was there and is gone; bring it back, or restart the "
                    "answerer to let everyone on this machine read everything"
                ) from None
            stamp = (of.st_mtime_ns, of.st_ctime_ns, of.st_size, of.st_ino)
            if stamp != self._stamp:
                self._stamp, self._rules = (0,), None  # closed, until it is understood
                self._rules = read_rules(self.path)
                self._stamp = stamp
            return self._rules
