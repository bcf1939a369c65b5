"""Every error Patchcord raises on purpose, as one tree; `code` is stable, `message` is safe to show."""

from __future__ import annotations

from typing import Any, ClassVar


class BuilderError(Exception):
    """Root of the tree.

    `code` never changes once released (screens translate by it), `message` is an English sentence that tells the
    person what to do, `params` are the values in that sentence, for the translated ones.
    """

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, **params: Any) -> None:
        super().__init__(message)
        self.message = message
        self.params = params


class FlowError(BuilderError):
    """The author can fix it; `node_id` says where, or None for the whole flow."""

    code = "flow_error"
    status = 422

    def __init__(self, message: str, *, node_id: str | None = None, **params: Any) -> None:
        super().__init__(message, **params)
        self.node_id = node_id


class FlowInvalid(FlowError):
    """The flow has problems that block publishing; `problems` is what the check found."""

    code = "flow_invalid"

    def __init__(self, message: str, *, problems: tuple[Any, ...] = (), **params: Any) -> None:
        super().__init__(message, **params)
        self.problems = problems


class FlowDamaged(FlowError):
    """A file or stored document is not a `flow/1` document."""

    code = "flow_damaged"


class UnknownNode(FlowError):
    """The flow uses a step type that is not installed."""

    code = "unknown_node"


class SettingsInvalid(FlowError):
    """A step's settings do not fit its type; `field` is the dotted path."""

    code = "settings_invalid"

    def __init__(self, message: str, *, field: str = "", node_id: str | None = None, **params: Any) -> None:
        super().__init__(message, node_id=node_id, **params)
        self.field = field


class EditInvalid(FlowError):
    """An edit cannot be applied to this draft (the step is gone, the id is taken …)."""

    code = "edit_invalid"
    status = 409


class TemplateInvalid(FlowError):
    """A text with {{ variables }} cannot be read or exceeds its limits."""

    code = "template_invalid"


class TurnError(BuilderError):
    """Something failed while a turn was running."""

    code = "turn_error"

    def __init__(self, message: str, *, node_id: str | None = None, **params: Any) -> None:
        super().__init__(message, **params)
        self.node_id = node_id


class NodeFailed(TurnError):
    """A step raised something it has no exit for."""

    code = "node_failed"


class StepLimitReached(TurnError):
    """The turn took more steps, seconds, tokens or money than its budget."""

    code = "step_limit_reached"


class LeaseLost(TurnError):
    """Another process took the conversation over; nothing of this run may be written."""

    code = "lease_lost"


class ConnectorError(BuilderError):
    """The outside world failed; `retryable` is decided where it is raised."""

    code = "connector_error"
    status = 502


class CredentialRejected(ConnectorError):
    """The vendor refused the key."""

    code = "credential_rejected"
    status = 422


class RateLimited(ConnectorError):
    """The vendor asks for a pause; `retry_after` in seconds, None when it did not say."""

    code = "rate_limited"
    status = 429
    retryable = True

    def __init__(self, message: str, *, retry_after: float | None = None, **params: Any) -> None:
        super().__init__(message, **params)
        self.retry_after = retry_after


class Unreachable(ConnectorError):
    """Nothing was delivered: no connection, or the vendor failed on its own side."""

    code = "unreachable"
    status = 503
    retryable = True


class ScannerAway(Unreachable):
    """The virus scanner cannot say whether a file is harmless, so it was not taken in."""

    code = "scanner_away"


class Refused(ConnectorError):
    """The vendor will never accept this request as it is."""

    code = "refused"
    status = 422


class ContactUnreachable(Refused):
    """The contact does not want messages any more (blocked the bot, left the group)."""

    code = "contact_unreachable"


class RecipientMoved(ConnectorError):
    """The recipient has another address now; nothing was delivered. `to`: the new one."""

    code = "recipient_moved"
    retryable = True

    def __init__(self, message: str, *, to: str, **params: Any) -> None:
        super().__init__(message, **params)
        self.to = to


class OutcomeUnknown(ConnectorError):
    """The request may or may not have been carried out; the send class decides."""

    code = "outcome_unknown"


class BadAnswer(ConnectorError):
    """The vendor answered with something that cannot be read (invalid JSON, a cut stream)."""

    code = "bad_answer"
    retryable = True


class NotSignedIn(BuilderError):
    """No valid session or key; sign in again."""

    code = "not_signed_in"
    status = 401


class AccessDenied(BuilderError):
    """The principal may not do this."""

    code = "access_denied"
    status = 403


class NotFound(BuilderError):
    """There is no such thing in this workspace."""

    code = "not_found"
    status = 404


class Conflict(BuilderError):
    """The thing changed since it was read; read it again and repeat."""

    code = "conflict"
    status = 409


class StillUsed(Conflict):
    """It cannot be taken away from what uses it; `names` says what does."""

    code = "still_used"


class InputInvalid(BuilderError):
    """A value sent by a person or a client does not fit; `field` names it."""

    code = "input_invalid"
    status = 422

    def __init__(self, message: str, *, field: str = "", **params: Any) -> None:
        super().__init__(message, **params)
        self.field = field


class FileHarmful(InputInvalid):
    """The virus scanner found something in a file, so it was not taken in; `found` names it."""

    code = "file_harmful"


class TooLarge(BuilderError):
    """A text, file or document is over its limit."""

    code = "too_large"
    status = 413


class TooMany(BuilderError):
    """Too many requests from this address, account or key; `retry_after` in seconds."""

    code = "too_many"
    status = 429

    def __init__(self, message: str, *, retry_after: float | None = None, **params: Any) -> None:
        super().__init__(message, **params)
        self.retry_after = retry_after
