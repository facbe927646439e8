"""Failures of calls."""
from __future__ import annotations

import enum
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError

from .wire import Header


class Code(enum.IntEnum):
    """gRPC's status codes."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class Disposition(enum.IntEnum):
    """Whether a failed call ran."""

    MAYBE = 0
    NOT_EXECUTED = 1
    EXECUTED = 2


@dataclass(frozen=True)
class FieldViolation:
    """A field of the request that was refused, and why."""

    field: str
    description: str


@dataclass(eq=False)
class RPCError(Exception):
    """A call that failed: what happened, whether it ran, and what to do. docs/errors.md lists the reasons."""

    code: Code
    reason: str
    message: str
    disposition: Disposition
    metadata: dict[str, str] = field(default_factory=dict)
    violations: list[FieldViolation] = field(default_factory=list)
    retry_delay: float | None = None
    """Shortest time to wait before the next try, in seconds, where waiting helps."""
    server_epoch: int = 0
    """Which start of a server said so; 0 where none did."""

    def __str__(self) -> str:
        text = f"{self.code.name} {self.reason} ({self.disposition.name}): {self.message}"
        return text + "".join(f"; {violation.field}: {violation.description}" for violation in self.violations)


_DETAILS = "type.googleapis.com/google.rpc."


def parse_failure(header: Header, payload: bytes) -> RPCError:
    """The failure that a RESPONSE or PROTOCOL_ERROR tells of. Its header is enough, whatever the payload is."""
    from .runtime.v1 import status_pb2

    code = Code(header.status) if 0 < header.status <= max(Code) else Code.UNKNOWN
    disposition = Disposition(header.disposition) if header.disposition <= max(Disposition) else Disposition.MAYBE
    error = RPCError(code, "UNKNOWN", "the server sent no details", disposition, server_epoch=header.epoch)
    try:
        status = status_pb2.Status.FromString(payload)
        if payload:
            error.message = status.message
        for detail in status.details:
            if detail.type_url == _DETAILS + "ErrorInfo":
                info = status_pb2.ErrorInfo.FromString(detail.value)
                error.reason, error.metadata = info.reason, dict(info.metadata)
            elif detail.type_url == _DETAILS + "BadRequest":
                for violation in status_pb2.BadRequest.FromString(detail.value).field_violations:
                    error.violations.append(FieldViolation(violation.field, violation.description))
            elif detail.type_url == _DETAILS + "RetryInfo":
                delay = status_pb2.RetryInfo.FromString(detail.value).retry_delay
                error.retry_delay = max(0.0, delay.seconds + delay.nanos / 1e9)
    except DecodeError as unreadable:
        error.message += f" (error details unreadable: {unreadable})"
    return error
