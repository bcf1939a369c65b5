"""`python -m graph_runtime.cli.probe URL`: exit code 0 when the address answers 200, for health checks of containers.

`tcp://HOST:PORT`: when somebody listens there.
"""

from __future__ import annotations

import http.client
import socket
import sys
from urllib.parse import urlsplit

SECONDS = 3.0


def main(arguments: list[str]) -> int:
    """Ask once."""
    url = urlsplit(arguments[0])
    if url.scheme == "tcp":
        return _listens(url.hostname or "127.0.0.1", url.port or 0)
    connection = http.client.HTTPConnection(url.hostname or "127.0.0.1", url.port, timeout=SECONDS)
    try:
        connection.request("GET", url.path)
        return 0 if connection.getresponse().status == 200 else 1
    except (OSError, http.client.HTTPException) as error:
        print(type(error).__name__, file=sys.stderr)
        return 1
    finally:
        connection.close()


def _listens(host: str, port: int) -> int:
    try:
        socket.create_connection((host, port), SECONDS).close()
    except OSError as error:
        print(type(error).__name__, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
