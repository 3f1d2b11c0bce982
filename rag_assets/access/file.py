"""``access.yaml`` as a running process sees it: read again whenever it has changed."""

import os
import threading
from pathlib import Path

from rag_assets.access.rules import FILE, Rules, read_rules
from rag_assets.errors import RagError


class AccessError(RagError):
    """Who may read what cannot be told, so nobody may."""


class AccessFile:
    """The rules of a home, as they are now; threads share it.

    Args:
        home: the folder that may hold the file.
    """

    def __init__(self, home: Path) -> None:
        self.path = home / FILE
        self._stamp: tuple[int, ...] | None = None
        self._rules: Rules | None = None
        self._lock = threading.Lock()

    def rules(self) -> Rules | None:
        """The rules; None where there is no file, and was none since the process began.

        Raises:
            YamlFileError: the file is wrong.
            AccessError: it was there and is gone.
        """
        with self._lock:
            try:
                of = os.stat(self.path)
            except FileNotFoundError:
                if self._stamp is None:
                    return None
                raise AccessError(
                    f"{self.path} was there and is gone; bring it back, or restart the answerer "
                    "to let everyone on this machine read everything"
                ) from None
            stamp = (of.st_mtime_ns, of.st_ctime_ns, of.st_size, of.st_ino)
            if stamp != self._stamp:
                self._stamp, self._rules = (0,), None  # closed, until it is understood
                self._rules = read_rules(self.path)
                self._stamp = stamp
            return self._rules
