"""Calls to one server or several: a synchronous face, futures behind it, and a thread that owns the sockets."""
from __future__ import annotations

import collections
import concurrent.futures
import itertools
import logging
import os
import random
import re
import threading
import time
from dataclasses import dataclass
from typing import Any, Callable, Iterable

import zmq
from google.protobuf import descriptor_pb2, message_factory, symbol_database
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message

from . import wire
from .connection import BLOCKED_PAUSE, Connection
from .errors import Code, Disposition, RPCError
from .retry import RetryPolicy, RetryState, is_turned_away
from .wire import StageTimings


@dataclass(frozen=True)
class CallTimings:
    """What is known of a call's time. Of the last try, where there were several."""

    round_trip: float
    server: StageTimings | None
    attempts: int
    endpoint: str


class CallFuture(concurrent.futures.Future):
    """A call under way. `result()` returns the response or raises RPCError; callbacks run in the channel's thread."""

    server_epoch = 0
    """Which start of which server answered; 0 before that."""
    endpoint = ""
    """Where the last try went."""

    def __init__(self, cancel: Callable[[], None]) -> None:
        super().__init__()
        self._ask = cancel
        self.set_running_or_notify_cancel()

    def cancel(self) -> bool:
        """Gives the call up. It ends soon, as CANCELLED with its disposition, unless its answer is faster."""
        self._ask()
        return not self.done()


class Call:
    """A call from its start to its outcome. Belongs to the channel's thread once it was posted."""

    def __init__(
        self, method: MethodDescriptor, request: Message, response_type: type[Message], future: CallFuture, deadline: float,
        retry: RetryPolicy, idempotent: bool, tlvs: bytes, endpoint: str | None, on_timings: Callable[[CallTimings], None] | None
    ) -> None:
        self.method_id = wire.method_id(f"{method.containing_service.full_name}/{method.name}")
        self.payload, self.response_type, self.future = request.SerializeToString(), response_type, future
        self.deadline, self.retry, self.tlvs = deadline, RetryState(retry, idempotent), tlvs
        self.only_endpoint, self.on_timings = endpoint, on_timings
        self.flags = wire.WANTS_TIMINGS if on_timings else 0
        self.id = 0
        self.sent_at = self.round_trip = self.not_before = 0.0
        self.send_by = deadline
        self.is_cancelled = self.is_retry = False
        self.timings: StageTimings | None = None
        self.last_error: RPCError | None = None

    def note_answer(self, epoch: int, timings: StageTimings | None) -> None:
        self.future.server_epoch, self.timings = epoch, timings
        self.round_trip = time.monotonic() - self.sent_at

    def end(self, outcome: bytes | RPCError) -> None:
        if self.future.done():
            return
        if self.on_timings and self.retry.sent:
            try:
                self.on_timings(CallTimings(self.round_trip, self.timings, self.retry.sent, self.future.endpoint))
            except Exception:  # the caller's own, which is not to stop the channel's thread
                logging.getLogger("orderwire").exception("on_timings failed")
        if isinstance(outcome, RPCError):
            return self.future.set_exception(self.retry.final(outcome))
        try:
            self.future.set_result(self.response_type.FromString(outcome))
        except DecodeError as error:
            self.future.set_exception(RPCError(
                Code.INTERNAL, "MALFORMED_RESPONSE", f"the response is no {self.response_type.DESCRIPTOR.full_name}: {error}",
                Disposition.EXECUTED))


class Channel:
    """Connections to one or several servers of the same service, for any number of calls at once, from any thread."""

    def __init__(
        self, endpoints: str | Iterable[str], name: str, *, timeout: float = 5.0, connect_timeout: float = 2.0,
        retry: RetryPolicy = RetryPolicy(), max_waiting: int = 65_536
    ) -> None:
        """`name` is who is calling. A call waits at most `connect_timeout` for a server to send it to. Does not wait itself."""
        if not re.fullmatch("[a-z0-9][a-z0-9._-]{0,63}", name):
            raise ValueError("a client's name matches [a-z0-9][a-z0-9._-]{0,63}")
        self.timeout, self.connect_timeout, self.retry, self.max_waiting = timeout, connect_timeout, retry, max_waiting
        self._ids = itertools.count(1)
        self._commands: collections.deque[Callable[[], None]] = collections.deque()
        self._waiting: list[Call] = []
        self._is_closed = False
        self._lock = threading.Lock()
        self._woken, self._wake_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        context = zmq.Context.instance()
        self._connections: list[Connection] = []
        try:
            for endpoint in [endpoints] if isinstance(endpoints, str) else endpoints:
                self._connections.append(Connection(context, endpoint, name, self._ended))
        except zmq.ZMQError as error:
            for connection in self._connections:
                connection.close()
            raise ValueError(f"{endpoint}: {error}") from None
        self._thread = threading.Thread(target=self._run, name="orderwire", daemon=True)
        self._thread.start()

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends all calls, says BYE, and waits for the thread: some milliseconds."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
        self._wake()
        self._thread.join()
        os.close(self._woken)
        os.close(self._wake_end)

    # The caller's side

    def call(self, method: MethodDescriptor, request: Message, **options: Any) -> Message:
        """Returns the response or raises RPCError. The options are those of `future`."""
        return self.future(method, request, **options).result()

    def future(
        self, method: MethodDescriptor, request: Message, *, timeout: float | None = None, metadata: Iterable[tuple[str, str]] = (),
        traceparent: str | None = None, idempotent: bool | None = None, retry: RetryPolicy | None = None, endpoint: str | None = None,
        on_timings: Callable[[CallTimings], None] | None = None
    ) -> CallFuture:
        """Starts a call that ends within `timeout` seconds, all tries included.

        Whether a call that may have run can be sent again is what the .proto file says of the method, unless `idempotent` is
        given. `endpoint` keeps the call to one of the channel's servers. `on_timings` is told where the time went, before
        the call ends, in the channel's thread.
        """
        seconds = self.timeout if timeout is None else timeout
        tlvs = wire.Extensions(traceparent, list(metadata)).pack()
        if idempotent is None:
            idempotent = method.GetOptions().idempotency_level != descriptor_pb2.MethodOptions.IDEMPOTENCY_UNKNOWN
        future = CallFuture(lambda: self._post(lambda: self._cancel(call)))
        call = Call(
            method, request, _message_class(method.output_type), future, time.monotonic() + seconds, retry or self.retry,
            idempotent, tlvs, endpoint, on_timings)
        if seconds <= 0:
            call.end(_deadline_exceeded(Disposition.NOT_EXECUTED))
        elif not self._post(lambda: self._start(call)):
            call.end(_closed(Disposition.NOT_EXECUTED))
        return future

    def _post(self, command: Callable[[], None]) -> bool:
        with self._lock:
            if self._is_closed:
                return False
            self._commands.append(command)
            self._wake()
            return True

    def _wake(self) -> None:
        try:
            os.write(self._wake_end, b"x")
        except BlockingIOError:
            pass  # it will wake up

    # The thread's side

    def _run(self) -> None:
        while not self._is_closed:
            self._wait()
            now = time.monotonic()
            while self._commands:
                self._commands.popleft()()
            for connection in self._connections:
                connection.step(now)
            self._send_waiting(now)
            self._expire(now)
        while self._commands:
            self._commands.popleft()()
        for call in self._waiting:
            call.end(_closed(Disposition.NOT_EXECUTED))
        for connection in self._connections:
            for call in connection.in_flight.values():
                call.end(_closed(Disposition.MAYBE))
            connection.say_bye()
            connection.close()

    def _wait(self) -> None:
        due = [connection.next_due() for connection in self._connections] + [self._next_expiry()]
        has_room = any(connection.has_room for connection in self._connections)
        for call in self._waiting:
            due.append(min(call.send_by, max(call.not_before, time.monotonic() + BLOCKED_PAUSE)) if has_room else call.send_by)
        poller = zmq.Poller()
        poller.register(self._woken, zmq.POLLIN)
        for connection in self._connections:
            poller.register(connection.socket, zmq.POLLIN)
            poller.register(connection.monitor, zmq.POLLIN)
        milliseconds = min((min(due) - time.monotonic()) * 1000 + 1, 60_000)
        if dict(poller.poll(max(0, milliseconds))).get(self._woken):
            os.read(self._woken, 4096)

    def _start(self, call: Call) -> None:
        if len(self._waiting) >= self.max_waiting:
            return call.end(RPCError(
                Code.RESOURCE_EXHAUSTED, "OUTBOX_FULL", f"{self.max_waiting} calls wait in this client already", Disposition.NOT_EXECUTED))
        self._queue(call, time.monotonic())

    def _queue(self, call: Call, now: float, delay: float = 0.0) -> None:
        call.not_before = now + delay
        call.send_by = min(call.deadline, call.not_before + self.connect_timeout)
        self._waiting.append(call)

    def _cancel(self, call: Call) -> None:
        call.is_cancelled = True
        if call in self._waiting:
            self._waiting.remove(call)
            return call.end(RPCError(
                Code.CANCELLED, "CANCELLED", "cancelled while it waited to be sent", Disposition.NOT_EXECUTED))
        for connection in self._connections:
            if connection.in_flight.get(call.id) is call and not connection.send_control(wire.CANCEL, call.id):
                del connection.in_flight[call.id]
                call.end(RPCError(Code.CANCELLED, "CANCELLED", "cancelled, and the server was not told", Disposition.MAYBE))

    def _pick(self, call: Call) -> Connection | None:
        """The less loaded of two servers at random, if possible a lively one, and not the one that the call just came back from."""
        ready = [connection for connection in self._connections
                 if connection.has_room and call.only_endpoint in (None, connection.endpoint)
                 and (connection.budget.allows_retries or not call.is_retry)]
        best = [connection for connection in ready if not connection.is_suspect and connection.endpoint != call.future.endpoint]
        best = best or [connection for connection in ready if not connection.is_suspect] or ready
        pair = random.sample(best, min(2, len(best)))
        return min(pair, key=lambda connection: len(connection.in_flight) + connection.queue_depth, default=None)

    def _send_waiting(self, now: float) -> None:
        refusals = [connection.refusal for connection in self._connections if connection.refusal]
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            if len(refusals) == len(self._connections):
                self._ended(call, refusals[0])
                continue
            connection = self._pick(call) if call.not_before <= now < call.deadline else None
            if connection is None:
                self._waiting.append(call)
            elif len(call.payload) > connection.limits.max_request_bytes:
                call.end(RPCError(
                    Code.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE",
                    f"the request has {len(call.payload)} bytes, the server takes {connection.limits.max_request_bytes}",
                    Disposition.NOT_EXECUTED))
            else:
                call.id, call.sent_at = next(self._ids), time.monotonic()
                if connection.send(call):
                    call.retry.sent += 1
                    call.future.endpoint = connection.endpoint
                else:
                    self._waiting.append(call)

    def _ended(self, call: Call, outcome: bytes | RPCError) -> None:
        """A try came to its end; that of the call, too, unless it is sent again."""
        if not isinstance(outcome, RPCError) or call.is_cancelled:
            return call.end(outcome)
        now = time.monotonic()
        has_budget = any(connection.budget.allows_retries for connection in self._connections)
        wait = call.retry.wait(outcome, call.deadline - now, has_budget)
        if wait is None:
            return call.end(outcome)
        call.last_error = outcome
        call.is_retry = call.is_retry or not is_turned_away(outcome)
        self._queue(call, now, wait)

    def _next_expiry(self) -> float:
        in_flight = (call.deadline for connection in self._connections for call in connection.in_flight.values())
        return min(in_flight, default=float("inf"))

    def _expire(self, now: float) -> None:
        """Ends what has no time left, and what waited too long for a server."""
        for connection in self._connections:
            for call in [call for call in connection.in_flight.values() if call.deadline <= now]:
                del connection.in_flight[call.id]
                connection.send_control(wire.CANCEL, call.id)
                call.end(_deadline_exceeded(Disposition.MAYBE))
        for call in [call for call in self._waiting if call.send_by <= now]:
            self._waiting.remove(call)
            call.end(self._unsent(call, now))

    def _unsent(self, call: Call, now: float) -> RPCError:
        if call.last_error:
            return call.last_error
        if call.deadline <= now and any(connection.limits.max_in_flight for connection in self._connections):
            return _deadline_exceeded(Disposition.NOT_EXECUTED)
        endpoints = ", ".join(connection.endpoint for connection in self._connections)
        return RPCError(
            Code.UNAVAILABLE, "SERVER_UNREACHABLE", f"no session with {endpoints} within {self.connect_timeout} s; is a server running?",
            Disposition.NOT_EXECUTED, retry_delay=0.5)


class Stub:
    """The methods of a service by their names: `stub.Check(request, timeout=1)`, and `stub.Check.future(request)`."""

    def __init__(self, channel: Channel, service: ServiceDescriptor) -> None:
        for method in service.methods:
            setattr(self, method.name, _StubMethod(channel, method))


class _StubMethod:
    def __init__(self, channel: Channel, method: MethodDescriptor) -> None:
        self._channel, self._method = channel, method

    def __call__(self, request: Message, **options: Any) -> Any:
        return self._channel.call(self._method, request, **options)

    def future(self, request: Message, **options: Any) -> CallFuture:
        return self._channel.future(self._method, request, **options)


def _message_class(descriptor: Any) -> type[Message]:
    find = getattr(message_factory, "GetMessageClass", None) or symbol_database.Default().GetPrototype
    return find(descriptor)


def _deadline_exceeded(disposition: Disposition) -> RPCError:
    return RPCError(
        Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", "the call's time was over", disposition, metadata={"place": "client"})


def _closed(disposition: Disposition) -> RPCError:
    return RPCError(Code.UNAVAILABLE, "CHANNEL_CLOSED", "the channel was closed by its owner", disposition)
