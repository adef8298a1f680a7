"""The one tree of errors that services raise and both doors (REST and sockets) answer.

Each class says whose fault it was; ``code`` is the stable machine word of contract D4 and may be set per instance where
a class covers several cases. ``api/answers.py`` holds the one table from class to HTTP status.
"""

from __future__ import annotations


class GatewayError(Exception):
    """Base of every error a client is told about.

    Args:
        message: one human sentence, safe to show: no ids of other tenants, no internals.
        code: stable machine word; defaults to the class's own.
    """

    code: str = "internal"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code


class InvalidRequest(GatewayError):
    """The client sent something malformed; sending it again will fail again."""

    code = "invalid_request"


class Unauthorized(GatewayError):
    """No credential, or one that is bad or expired; get a new one."""

    code = "unauthorized"


class Forbidden(GatewayError):
    """The credential is good but does not reach this far."""

    code = "forbidden"


class NotFound(GatewayError):
    """Unknown, another tenant's, or not for this caller: one answer for all three (contract D3)."""

    code = "not_found"


def no_such_room() -> NotFound:
    """The one answer for an unknown room, another tenant's, and one the caller is not in (contract D3)."""
    return NotFound("There is no such room.")


class MethodNotAllowed(GatewayError):
    """The path exists, but not with this method."""

    code = "method_not_allowed"

    def __init__(self, message: str, *, allow: str) -> None:
        super().__init__(message)
        self.allow = allow


class Conflict(GatewayError):
    """What was asked contradicts what is stored."""

    code = "conflict"


class TooLarge(GatewayError):
    """The request is over a size limit."""

    code = "too_large"


class UnsupportedMediaType(GatewayError):
    """The tenant does not take files of this type."""

    code = "unsupported_media_type"


class TooSlow(GatewayError):
    """The client did not send the whole of what it began in time."""

    code = "timeout"


class RateLimited(GatewayError):
    """Too many requests of this kind; try again after ``retry_after_s`` seconds."""

    code = "rate_limited"

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unavailable(GatewayError):
    """The gateway cannot do this now (overload, shutdown, a store that is away); try again after ``retry_after_s``."""

    code = "unavailable"

    def __init__(self, message: str, *, retry_after_s: float = 1.0, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s


class ConfigError(Exception):
    """A setting that cannot be used; the message names the key and where it came from."""
