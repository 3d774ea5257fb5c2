"""Being told to stop: by Ctrl-C, by SIGTERM, or because whoever started the run is gone."""

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

EXIT_CODE = 130
PATIENCE = 4.5  # s from the signal to the hard end; a job manager kills after 5

_INTERVAL = 0.1  # s
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


class Interruption:
    """Within it the first signal raises KeyboardInterrupt on the main thread, others do nothing.

    A main thread deep in a library does not see the exception; a second thread therefore ends the
    process when it is still there after PATIENCE.

    Parameters
    ----------
    last_resort : callable, optional
        Called before the hard end, e.g. to remove a temporary folder.
    """

    def __init__(self, last_resort: Callable[[], None] | None = None) -> None:
        self.requested = False
        self.last_resort = last_resort
        self._over = threading.Event()
        self._word = threading.Event()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        """Take the signals over; only the main thread can."""
        if threading.current_thread() is not threading.main_thread():
            return self
        self._ours, theirs = socket.socketpair()
        self._theirs = theirs
        theirs.setblocking(False)
        self._wakeup = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        for name in _NAMES:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._handle)
        threading.Thread(target=self._guard, daemon=True).start()
        return self

    def __exit__(self, *details: object) -> None:
        """Give the signals back."""
        self._over.set()
        if not self._before:
            return
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        self._theirs.close()

    def end_with_stdin(self) -> None:
        """Treat the end of standard input, which the parent holds open, as a request to stop."""

        def watch() -> None:
            """Read until the parent lets go."""
            with contextlib.suppress(OSError):
                while os.read(descriptor, 4096):
                    self._word.set()
            if not self._over.is_set():
                _wake_main_thread()

        descriptor = sys.stdin.fileno()
        threading.Thread(target=watch, daemon=True).start()

    def wait_for_word(self) -> None:
        """Wait until the parent has written to standard input; see `end_with_stdin`.

        Raises
        ------
        KeyboardInterrupt
            If it lets go before that.
        """
        while not self._word.wait(_INTERVAL):
            if self.requested:  # a library may have caught the exception
                raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        """Raise once."""
        if not self.requested:
            self.requested = True
            raise KeyboardInterrupt

    def _guard(self) -> None:
        """Wait for a signal, then for the end of the run, then end the process."""
        with self._ours:
            told = self._ours.recv(1)  # written by Python's signal handler, at once
        if told and not self._over.wait(PATIENCE):
            with contextlib.suppress(Exception):
                if self.last_resort is not None:
                    self.last_resort()
                os.write(2, b"locscale: interrupted; no file is left half written\n")
            os._exit(EXIT_CODE)


def _wake_main_thread() -> None:
    """Send SIGTERM to the main thread: one sent to this thread would not end its sleep."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    else:
        signal.raise_signal(signal.SIGTERM)
