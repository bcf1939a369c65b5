"""Ends a supervised process when its supervisor is gone, even by kill -9."""

import os
import signal
import threading
import time

SUPERVISED = "PATCHCORD_SUPERVISED"
GRACE_SECONDS = 10.0


def follow_supervisor() -> None:
    """Watch standard input, whose other end only the supervisor holds; its end of file means that we stop too."""
    if os.environ.pop(SUPERVISED, "") != "1":
        return
    threading.Thread(target=_watch, name="lifeline", daemon=True).start()


def _watch() -> None:
    while os.read(0, 64):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os._exit(1)
