"""A client for Orderwire servers, written from docs/wire-protocol.md.

    channel = orderwire.Channel(["tcp://127.0.0.1:7400"], name="mailer")
    health = orderwire.Stub(channel, health_service_pb2.DESCRIPTOR.services_by_name["HealthService"])
    health.Check(health_service_pb2.CheckRequest(), timeout=1.0)
"""
import pkgutil

# The messages that protoc makes of protos/orderwire are modules of this package, too, in a folder of their own until installed.
__path__ = pkgutil.extend_path(__path__, __name__)

from .channel import CallFuture, CallTimings, Channel, Stub  # noqa: E402
from .completions import completions  # noqa: E402
from .errors import Code, Disposition, FieldViolation, RPCError  # noqa: E402
from .retry import RetryPolicy  # noqa: E402
from .wire import StageTimings  # noqa: E402

__all__ = [
    "CallFuture", "CallTimings", "Channel", "Code", "Disposition", "FieldViolation", "RPCError", "RetryPolicy", "StageTimings", "Stub",
    "completions",
]
