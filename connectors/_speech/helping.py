"""What helper processes of speech say when they fail."""

from __future__ import annotations

from typing import Final

from connectors._processes.child_process import Manner
from connectors._speech.errors import CRASHED, SLOW

SPEECH: Final = Manner(crashed=CRASHED, slow=SLOW)
