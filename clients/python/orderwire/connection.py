"""One connection to one server: its socket, its session, the calls that were sent there. Belongs to the channel's thread."""
from __future__ import annotations

import enum
import time
from typing import TYPE_CHECKING, Callable

import zmq
from google.protobuf.message import DecodeError
from zmq.utils.monitor import parse_monitor_message

from . import wire
from .errors import Code, Disposition, RPCError, parse_failure
from .retry import RetryBudget, is_passing, is_turned_away
from .runtime.v1 import session_pb2
from .wire import Header, WireError

if TYPE_CHECKING:
    from .channel import Call

SILENCE_LIMIT = 15.0
"""A server that answers no PING for so long is taken for dead."""
HELLO_PAUSE = 1.0
"""Between a HELLO without success and the next."""
PARTED_LIMIT = 3.0
"""A server that was told BYE and stays is connected to anew after this time."""
BLOCKED_PAUSE = 0.002
"""What libzmq did not take is tried again after this time."""


class State(enum.Enum):
    """The states of docs/wire-protocol.md, "Session"."""

    NO_PEER = "no peer"
    GREETING = "greeting"
    READY = "ready"
    DRAINING = "draining"
    PARTED = "parted"


class Connection:
    """What happens to calls is told to `ended`: a call, and its payload with its TLVs, or why it failed."""

    def __init__(self, context: zmq.Context, endpoint: str, name: str, ended: Callable[..., None]) -> None:
        self.context, self.endpoint, self.name, self.ended = context, endpoint, name, ended
        self.in_flight: dict[int, Call] = {}
        self.queue_depth = 0
        self.refusal: RPCError | None = None
        self.budget = RetryBudget()
        self._open()

    def _open(self) -> None:
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 100)  # BYE may take a moment
        self.socket.setsockopt(zmq.RECONNECT_IVL, 20)
        self.socket.setsockopt(zmq.RECONNECT_IVL_MAX, 500)
        self.monitor = self.socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
        self.state, self.since = State.NO_PEER, time.monotonic()
        self.hello_due = self.ping_sent = self.heartbeat = 0.0
        self.last_heard = time.monotonic()
        self.limits = session_pb2.SessionLimits()
        try:
            self.socket.connect(self.endpoint)
        except zmq.ZMQError:
            self.close()
            raise

    def close(self) -> None:
        self.socket.disable_monitor()
        self.monitor.close()
        self.socket.close()

    @property
    def has_room(self) -> bool:
        return self.state is State.READY and len(self.in_flight) < max(1, self.limits.max_in_flight)

    @property
    def is_suspect(self) -> bool:
        """The server owes an answer to a PING."""
        return self.ping_sent > 0

    # What arrives

    def step(self, now: float) -> None:
        """Does what there is to do. Events are read before messages and heeded after them: what came before a loss counts."""
        events = []
        while self.monitor.poll(0):
            events.append(parse_monitor_message(self.monitor.recv_multipart())["event"])
        self._receive(now)
        for event in events:
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self._enter(State.GREETING, now)
                self.hello_due, self.last_heard, self.ping_sent = now, now, 0.0
            elif event == zmq.EVENT_DISCONNECTED:
                if self.state is not State.NO_PEER:
                    # A socket serves one connection: libzmq would send what waits in it through the next one.
                    self._lose("the connection was lost")
                    self._reconnect()
                    break
        self._by_time(now)

    def _enter(self, state: State, now: float) -> None:
        self.state, self.since = state, now

    def _receive(self, now: float) -> None:
        while True:
            try:
                frames = self.socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return
            self.last_heard, self.ping_sent = now, 0.0
            try:
                if len(frames) == 2:
                    self._accept(Header.parse(frames[0]), frames[0][wire.HEADER_SIZE:], frames[1], now)
            except WireError:
                pass  # a message that cannot be read is skipped

    def _accept(self, header: Header, tlvs: bytes, payload: bytes, now: float) -> None:
        if header.type == wire.RESPONSE:
            call = self.in_flight.pop(header.id, None)
            if call is not None:
                self._finish(call, header, tlvs, payload, now)
        elif header.type == wire.HELLO_ACK:
            self._greeted(payload, now)
        elif header.type == wire.PROTOCOL_ERROR:
            call = self.in_flight.pop(header.id, None)
            if call is not None:
                self.ended(call, parse_failure(header, payload))
            elif self.state is State.GREETING:
                self.refusal = parse_failure(header, payload)
                self.hello_due = now + HELLO_PAUSE
        elif header.type == wire.PONG:
            self._note_load(payload, now)
        elif header.type == wire.DRAIN:
            self._drain(now)
        elif header.type == wire.BYE:
            self._enter(State.PARTED, now)
            self._lose("the server ended the session")

    def _finish(self, call: Call, header: Header, tlvs: bytes, payload: bytes, now: float) -> None:
        try:
            extensions, defect = wire.Extensions.parse(tlvs), None
        except WireError as error:
            extensions, defect = wire.Extensions(), error.defect
        call.note_answer(header.epoch, extensions.timings)
        if header.status == Code.OK:
            self.budget.succeeded()
            return self.ended(call, payload if defect is None else RPCError(
                Code.INTERNAL, "MALFORMED_RESPONSE", f"the response's TLVs cannot be understood: {defect}", Disposition.EXECUTED))
        error = parse_failure(header, payload)
        if is_passing(error) and not is_turned_away(error):
            self.budget.failed()
        if error.disposition == Disposition.NOT_EXECUTED:
            if error.reason == "SESSION_UNKNOWN" and self.state is State.READY:
                self._enter(State.GREETING, now)
                self.hello_due = now
            elif error.reason == "SHUTTING_DOWN":
                self._drain(now)  # DRAIN may have been lost
        self.ended(call, error)

    def _greeted(self, payload: bytes, now: float) -> None:
        try:
            ack = session_pb2.HelloAck.FromString(payload)
        except DecodeError:
            ack = session_pb2.HelloAck()
        if self.state is not State.GREETING:
            return
        if ack.version != wire.VERSION:
            self.refusal = RPCError(
                Code.INTERNAL, "MALFORMED_RESPONSE", f"{self.endpoint} sent a HELLO_ACK of another version, or an unreadable one",
                Disposition.NOT_EXECUTED)
            self.hello_due = now + HELLO_PAUSE
        else:
            self.limits, self.refusal, self.queue_depth = ack.limits, None, 0
            self.heartbeat = max(1, ack.heartbeat_interval_ms) / 1000
            self._enter(State.READY, now)

    def _note_load(self, payload: bytes, now: float) -> None:
        try:
            pong = session_pb2.Pong.FromString(payload)
        except DecodeError:
            return
        self.queue_depth = pong.queue_depth
        if pong.draining:
            self._drain(now)

    def _drain(self, now: float) -> None:
        if self.state is State.READY:
            self._enter(State.DRAINING, now)

    def _lose(self, what: str) -> None:
        calls, self.in_flight = list(self.in_flight.values()), {}
        if calls:
            self.budget.failed()  # one event, however many calls it ended
        for call in calls:
            self.ended(call, RPCError(
                Code.UNAVAILABLE, "CONNECTION_LOST", f"{self.endpoint}: {what} while the call was in flight; it may have run", Disposition.MAYBE))

    # What happens by time

    def _by_time(self, now: float) -> None:
        if self.state is State.GREETING and now >= self.hello_due:
            hello = session_pb2.Hello(
                min_version=wire.VERSION, max_version=wire.VERSION, client_name=self.name, user_agent="orderwire-python/0.1.0")
            sent = self.send_control(wire.HELLO, payload=hello.SerializeToString())
            self.hello_due = now + (HELLO_PAUSE if sent else BLOCKED_PAUSE)
        elif self.state is State.DRAINING and not self.in_flight:
            if self.send_control(wire.BYE):
                self._enter(State.PARTED, now)
        elif self.state is State.PARTED and now >= self.since + PARTED_LIMIT:
            self._reconnect()
        if self.state in (State.READY, State.DRAINING):
            if self.ping_sent and now >= self.ping_sent + SILENCE_LIMIT:
                self._lose("the server fell silent")
                self._reconnect()
            elif not self.ping_sent and now >= self.last_heard + self.heartbeat:
                self.send_control(wire.PING)
                self.ping_sent = now

    def next_due(self) -> float:
        """When `step` has something to do though nothing arrives."""
        if self.state is State.GREETING:
            return self.hello_due
        if self.state is State.PARTED:
            return self.since + PARTED_LIMIT
        if self.state is State.NO_PEER:
            return float("inf")
        if self.state is State.DRAINING and not self.in_flight:
            return time.monotonic() + BLOCKED_PAUSE
        return self.ping_sent + SILENCE_LIMIT if self.ping_sent else self.last_heard + self.heartbeat

    def _reconnect(self) -> None:
        self.close()
        self._open()

    # What is sent: all that libzmq takes at once, or nothing

    def send(self, call: Call) -> bool:
        now = time.monotonic_ns() // 1000
        budget = min(max(1, int(call.deadline * 1e6) - now), 0xFFFFFFFF)
        header = Header(wire.REQUEST, call.flags, len(call.tlvs), call.id, now, call.method_id, budget)
        if not self._send([header.pack() + call.tlvs, call.payload]):
            return False
        self.in_flight[call.id] = call
        return True

    def send_control(self, kind: int, id: int = 0, payload: bytes = b"") -> bool:
        return self._send([Header(kind, id=id).pack(), payload])

    def _send(self, frames: list[bytes]) -> bool:
        try:
            self.socket.send_multipart(frames, zmq.DONTWAIT)
            return True
        except zmq.Again:
            return False

    def say_bye(self) -> None:
        if self.state in (State.GREETING, State.READY, State.DRAINING):
            self.send_control(wire.BYE)
