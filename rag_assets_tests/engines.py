"""An engine that takes a request and says nothing, so that tests see who goes away."""

import socket
import threading
from types import TracebackType
from typing import Self

LATE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n" + (
    b'{"late": true}'
)


class SilentEngine:
    """Listens on the loopback interface.

    Attributes:
        url: of it.
        asked: set once a request came.
        left: set once a caller closed its connection.
        n_asked: how many requests came.
    """

    def __init__(self, silent_s: float | None = None) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._silent_s = silent_s
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.asked, self.left = threading.Event(), threading.Event()
        self.n_asked = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.close()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            if connection.recv(65536):
                self.n_asked += 1
                self.asked.set()
                connection.settimeout(self._silent_s)
                try:
                    while connection.recv(65536):
                        pass
                except TimeoutError:
                    connection.sendall(LATE)
                except ConnectionError:
                    pass
                self.left.set()
