"""Kommo's refusals in our words; every sentence says what to do."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

from graph_runtime.contract.channels import HttpAnswer, retry_after
from graph_runtime.contract.errors import (
    BadAnswer,
    CredentialRejected,
    OutcomeUnknown,
    RateLimited,
    Refused,
    Unreachable,
)

REJECTED: Final = "Kommo refuses the access. Open Connections and connect again, or enter a new token."
FORBIDDEN: Final = "Kommo allows this user too little, or blocks this server. Check the user's rights in Kommo."
UNPAID: Final = "The Kommo account is not paid for, so it takes nothing. Check its subscription."
BUSY: Final = "Kommo asks for a pause. Try again in a moment."
DOWN: Final = "Kommo has trouble on its own side. Try again later."
UNCLEAR: Final = "Kommo broke off, and may have saved it all the same."
UNREADABLE: Final = "Kommo answered with something that cannot be read."
STAGE_GONE: Final = (
    "Kommo does not have this stage any more, or it belongs to another pipeline now. Open the step, read the list again and "
    "choose a stage."
)
FIELD_GONE: Final = (
    "Kommo does not accept the value of a field. It may have been deleted or changed in Kommo: open the step, read the list "
    "again and choose the field anew."
)
NOT_ALLOWED: Final = (
    "Kommo does not let this user manage webhooks: it takes an administrator, and in some plans a higher one. Changes that "
    "people make in Kommo start nothing until then."
)
REFUSED: Final = "Kommo does not accept this: {what}."
REFUSED_SILENTLY: Final = "Kommo does not accept this, and does not say why."
NO_FIELD: Final = "Kommo has no field “{name}” any more. Choose another one in the step."
NO_CHOICE: Final = "“{field}” has no choice “{value}” in Kommo. Choose one it has."
NO_NUMBER: Final = "“{field}” needs a number, not “{value}”."
NO_LISTED: Final = "“{field}” needs a choice from the list."
NO_DATE: Final = "“{field}” needs a date, not “{value}”."
RECORD_GONE: Final = "Kommo does not have this record any more. Look for it before writing to it."
WORKS: Final = "Kommo answers."


def judge(answer: HttpAnswer, *, is_write: bool) -> Any:
    """The JSON of a good answer; None when there is nothing (204) or no such thing (404).

    Raises: CredentialRejected, RateLimited, Unreachable, OutcomeUnknown, Refused, BadAnswer.
    """
    status = answer.status
    if status in (204, 404):
        return None
    if 200 <= status < 300:
        try:
            return json.loads(answer.body)
        except ValueError:
            raise BadAnswer(UNREADABLE) from None
    if status == 401:
        raise CredentialRejected(REJECTED)
    if status == 402:
        raise Refused(UNPAID)
    if status == 403:
        raise CredentialRejected(FORBIDDEN)
    if status == 429:
        raise RateLimited(BUSY, retry_after=retry_after(answer, datetime.now(UTC)))
    if status in (502, 504) and is_write:
        raise OutcomeUnknown(UNCLEAR)
    if status >= 500:
        raise Unreachable(DOWN)
    what, field = _detail(answer.body)
    if field.rpartition(".")[2] in ("status_id", "pipeline_id"):
        raise Refused(STAGE_GONE, detail=what, field="stage")
    if "custom_fields_values" in field:
        raise Refused(FIELD_GONE, detail=what, field=field)
    raise Refused(REFUSED.format(what=what) if what else REFUSED_SILENTLY, detail=what, field=field)


def _detail(body: bytes) -> tuple[str, str]:
    """What Kommo says and the field it means, from its `application/problem+json`."""
    try:
        problem = json.loads(body)
    except ValueError:
        return "", ""
    if not isinstance(problem, dict):
        return "", ""
    for entry in problem.get("validation-errors") or ():
        for error in entry.get("errors") or ():
            path, detail = str(error.get("path", "")), str(error.get("detail", "")).rstrip(".")
            return (f"{path}: {detail}" if path else detail)[:300], path
    return str(problem.get("detail") or problem.get("title") or "").rstrip(".")[:300], ""
