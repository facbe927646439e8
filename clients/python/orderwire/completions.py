"""The completions of orders that a durable group gets, shared out among its members."""
from __future__ import annotations

import concurrent.futures
import threading
import time
from typing import Iterator, NamedTuple

import zmq

from . import wire
from .channel import CallFuture, Channel, Stub
from .errors import Code, Disposition, RPCError
from .orders.v1 import order_pb2, order_service_pb2
from .wire import Header, WireError

CHECK_INTERVAL = 1.0
"""Between two signs of life to the server, which are questions whether it knows the membership still: a dead channel looks like a silent one."""
SILENCE = 5.0
"""A channel that had heartbeats and has been without them for so long is dead, whatever TCP believes."""
PAUSE = 0.2
MOST_ACKED = 10_000
MOST_REMEMBERED = 1_000_000
_PASSING = {Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.RESOURCE_EXHAUSTED, Code.CANCELLED}


def completions(
    channel: Channel, group: str, *, filter: int = order_service_pb2.COMPLETION_FILTER_MINE, after: int = -1, skip_expired: bool = False
) -> Iterator[order_pb2.Completion]:
    """Yields completions for ever: of those that read one group, wherever they run, each gets some; in order, where there is one.

    Each is acknowledged when the next is asked for, so delivery is at least once. A new group begins after the sequence number
    `after`; -1 means from now on. With `skip_expired` it goes on after completions that were removed before the group got them.
    Outlives lost connections and restarts of the server. Raises RPCError where trying again cannot help. Of one thread.
    """
    orders = Stub(channel, order_service_pb2.DESCRIPTOR.services_by_name["OrderService"])
    request = order_service_pb2.SubscribeRequest(group=group, filter=filter, after_sequence=after, skip_expired=skip_expired)
    membership: _Membership | None = None
    handled = _Handled()
    owed: list[int] = []
    try:
        while True:
            try:
                if membership is None:
                    membership = _Membership(orders, group, orders.Subscribe.future(request), owed)
                event = membership.next_event()
            except RPCError as error:
                is_over = membership is not None and error.reason in ("MEMBER_UNKNOWN", "SERVER_UNREACHABLE", "CHANNEL_LOST")
                is_passing = error.code in _PASSING or error.reason == "GROUP_ELSEWHERE" or is_over
                if error.reason == "CHANNEL_CLOSED" or not is_passing:
                    raise
                if is_over:
                    owed = membership.close()
                    membership = None
                if error.reason != "CHANNEL_LOST":
                    time.sleep(PAUSE)
                continue
            if event is None:
                continue
            if event.sequence <= membership.low_mark or event.sequence in handled.above:
                membership.acknowledge(event.sequence)  # sent again, so its acknowledgement was lost, or came too late
                continue
            yield order_pb2.Completion.FromString(event.payload)
            handled.add(event.sequence, membership.low_mark)
            membership.acknowledge(event.sequence)
    finally:
        if membership:
            membership.end()


class _Handled:
    """The completions that were dealt with and can come again: those above the group's low mark."""

    def __init__(self) -> None:
        self.above: set[int] = set()
        self._tidy_at = 1024

    def add(self, sequence: int, low_mark: int) -> None:
        self.above.add(sequence)
        if len(self.above) >= self._tidy_at:
            kept = {number for number in self.above if number > low_mark}
            self.above = kept if len(kept) <= MOST_REMEMBERED else set()  # repetitions are allowed, endless growth is not
            self._tidy_at = max(1024, 2 * len(self.above))


class _Event(NamedTuple):
    sequence: int
    payload: bytes


class _Membership:
    """One event channel, and the acknowledgements of what came through it. It is known to one server only."""

    def __init__(self, orders: Stub, group: str, subscribed: CallFuture, owed: list[int]) -> None:
        response = subscribed.result()
        self._endpoint = subscribed.endpoint
        self._orders, self._group, self._member = orders, group, response.member_id
        self.low_mark = response.acked_sequence
        self._waiting = list(owed)
        self._sent: list[int] = []
        self._call: CallFuture | None = None
        self._failure: RPCError | None = None
        self._asked = time.monotonic()
        self._last = 0
        self._heartbeat_at: float | None = None
        self._socket = zmq.Context.instance().socket(zmq.PULL)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt_string(zmq.PLAIN_USERNAME, response.member_id)
        self._socket.setsockopt_string(zmq.PLAIN_PASSWORD, response.token)
        self._socket.connect(response.endpoint)
        self._closed = threading.Event()
        threading.Thread(target=self._show_life, name="orderwire-member", daemon=True).start()

    def _show_life(self) -> None:
        """While its consumer takes its time, somebody has to tell the server that this member lives."""
        while not self._closed.wait(CHECK_INTERVAL):
            if time.monotonic() >= self._asked + CHECK_INTERVAL:
                self._acknowledge_to_server([]).exception()

    def _acknowledge_to_server(self, sequences: list[int]) -> CallFuture:
        request = order_service_pb2.AckCompletionsRequest(group=self._group, member_id=self._member, sequences=sequences)
        return self._orders.AckCompletions.future(request, endpoint=self._endpoint)

    def next_event(self) -> _Event | None:
        """The next event; None where none came for a moment."""
        self._send()
        if self._failure:
            failure, self._failure = self._failure, None
            raise failure
        if not self._socket.poll(CHECK_INTERVAL * 1000):
            if self._heartbeat_at is not None and time.monotonic() > self._heartbeat_at + SILENCE:
                raise self._lost("the event channel has been silent")
            return None
        frames = self._socket.recv_multipart()
        try:
            header = Header.parse(frames[0])
        except WireError:
            return None
        if len(frames) != 1 or header.type not in (wire.EVENT, wire.EVENT_HEARTBEAT):
            return None
        is_heartbeat = header.type == wire.EVENT_HEARTBEAT
        if is_heartbeat or self._heartbeat_at is not None:
            self._heartbeat_at = time.monotonic()
        if header.word16 != self._last:
            raise self._lost("an event did not arrive")
        self._last = header.id
        return None if is_heartbeat else _Event(header.id, frames[0][wire.HEADER_SIZE + header.ext_len:])

    @staticmethod
    def _lost(text: str) -> RPCError:
        """The server knows what is missing: it comes again through the next membership."""
        return RPCError(Code.UNAVAILABLE, "CHANNEL_LOST", text, Disposition.NOT_EXECUTED)

    def acknowledge(self, sequence: int) -> None:
        """Takes a number and returns at once: while a call is under way, more of them gather for the next."""
        self._waiting.append(sequence)
        self._send()

    def _send(self) -> None:
        """Sends what waits; now and then an empty acknowledgement, which shows that this side lives."""
        if self._call:
            if not self._call.done():
                return
            self._finish_call()
        now = time.monotonic()
        if self._waiting or now >= self._asked + CHECK_INTERVAL:
            self._sent, self._waiting = self._waiting[:MOST_ACKED], self._waiting[MOST_ACKED:]
            self._asked = now
            self._call = self._acknowledge_to_server(self._sent)

    def _finish_call(self) -> None:
        call, self._call = self._call, None
        error = call.exception()
        if error:
            self._failure = error
            self._waiting = self._sent + self._waiting
        else:
            self.low_mark = max(self.low_mark, call.result().acked_sequence)
        self._sent = []

    def end(self) -> None:
        """Acknowledges what waits, if the server takes it, and closes the channel."""
        try:
            while self._waiting or self._call:
                concurrent.futures.wait([self._call] if self._call else [])
                if self._call:
                    self._finish_call()
                if self._failure or not self._waiting:
                    break
                self._send()
        finally:
            self.close()

    def close(self) -> list[int]:
        """Leaves the group. Returns what no server has taken as acknowledged."""
        self._closed.set()
        self._socket.close()
        return self._sent + self._waiting
