"""What is said to people when Asterisk does not do what was asked; with translations in texts.json."""

from __future__ import annotations

from typing import Final

LINE_BREAK: Final = "A value of this call holds a line break. Correct the number or the line's settings."
END_UNKNOWN: Final = "Asterisk did not say how the call ended. Look at its log before you call again."
MOVE_UNKNOWN: Final = "Asterisk did not say whether it moved the call."
NOT_MOVED: Final = "Asterisk does not move this call: {why}"
NOT_PLACED: Final = "Asterisk does not place this call: {why}"
NO_MANAGER: Final = "Asterisk's manager does not answer. Check its address, and that manager.conf is enabled there."
MANAGER_BROKE_OFF: Final = "Asterisk's manager broke off. Check its permit and deny lists in manager.conf."
MANAGER_REFUSED: Final = "Asterisk's manager refused the name or the secret. Compare both with manager.conf."
NO_CALL: Final = "Asterisk has no such call any more."
NOT_HELD: Final = "No ARI application holds this call. Let the manager move it, or the dialplan ask."
NOT_NOW: Final = "Asterisk cannot move this call now."
REST_REFUSED: Final = "Asterisk's REST interface refused the name or the password. Compare both with ari.conf."
REST_FAILED: Final = "Asterisk's REST interface answered with {status}. Check its address and its log."
