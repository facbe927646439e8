"""The completions of orders that a durable group gets: pushed by the server, and looked up in its log where one is missing."""
from __future__ import annotations

import concurrent.futures
import time
from typing import Iterator

import zmq

from . import wire
from .channel import CallFuture, Channel, Stub
from .errors import Code, RPCError
from .orders.v1 import order_pb2, order_service_pb2
from .wire import Header, WireError

CHECK_INTERVAL = 1.0
"""Between two questions whether the server knows the membership still: an event channel that is dead looks like a silent one."""
PAUSE = 0.2
PAGE_SIZE, MOST_ACKED = 1000, 10_000
_PASSING = {Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.RESOURCE_EXHAUSTED, Code.CANCELLED}


def completions(
    channel: Channel, group: str, *, filter: int = order_service_pb2.COMPLETION_FILTER_MINE, after: int = -1
) -> Iterator[order_pb2.Completion]:
    """Yields completions in order, for ever; each is acknowledged when the next is asked for, so delivery is at least once.

    A new group begins after the sequence number `after`; -1 means from now on. Outlives lost connections and restarts of the
    server. Raises RPCError where trying again cannot help, or where another subscriber took the group. Of one thread.
    """
    orders = Stub(channel, order_service_pb2.DESCRIPTOR.services_by_name["OrderService"])
    request = order_service_pb2.SubscribeRequest(group=group, filter=filter, after_sequence=after)
    membership: _Membership | None = None
    last = 0
    try:
        while True:
            try:
                if membership is None:
                    future = orders.Subscribe.future(request)
                    last = max(last, future.result().acked_sequence)
                    membership = _Membership(orders, group, future)
                event = membership.next_event()
                if event is None or event[0] <= last:
                    if event:
                        membership.acknowledge(event[0])  # sent again, so the acknowledgement was lost
                    continue
                sequence, previous, payload = event
                ready = [order_pb2.Completion.FromString(payload)] if previous <= last else _missed(orders, filter, last, sequence)
            except RPCError as error:
                if error.reason == "CHANNEL_CLOSED" or error.code not in _PASSING and error.reason != "MEMBER_UNKNOWN":
                    raise
                if membership and error.reason in ("MEMBER_UNKNOWN", "SERVER_UNREACHABLE"):
                    membership.close()
                    if error.reason == "MEMBER_UNKNOWN" and error.server_epoch == membership.epoch:
                        raise RPCError(
                            Code.ABORTED, "MEMBERSHIP_TAKEN", "another subscriber became the member of the group", error.disposition,
                        ) from error
                    membership = None
                time.sleep(PAUSE)
                continue
            for completion in ready:
                yield completion
                last = completion.sequence
                membership.acknowledge(last)
    finally:
        if membership:
            membership.end()


def _missed(orders: Stub, filter: int, last: int, end: int) -> list[order_pb2.Completion]:
    """What the log holds after `last`, up to `end`."""
    found: list[order_pb2.Completion] = []
    while last < end:
        page = orders.ListCompletions(
            order_service_pb2.ListCompletionsRequest(after_sequence=last, filter=filter, max_count=PAGE_SIZE))
        found += [completion for completion in page.completions if completion.sequence <= end]
        if page.last_sequence <= last:
            break
        last = page.last_sequence
    return found


class _Membership:
    """One event channel, and the acknowledgements of what came through it. It is known to one server only."""

    def __init__(self, orders: Stub, group: str, subscribed: CallFuture) -> None:
        response = subscribed.result()
        self.epoch, self._endpoint = subscribed.server_epoch, subscribed.endpoint
        self._orders, self._group, self._member = orders, group, response.member_id
        self._waiting: list[int] = []
        self._call: CallFuture | None = None
        self._failure: RPCError | None = None
        self._asked = time.monotonic()
        self._socket = zmq.Context.instance().socket(zmq.PULL)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt_string(zmq.PLAIN_USERNAME, response.member_id)
        self._socket.setsockopt_string(zmq.PLAIN_PASSWORD, response.token)
        self._socket.connect(response.endpoint)

    def next_event(self) -> tuple[int, int, bytes] | None:
        """Sequence, previous sequence and payload of the next event; None where none came for a moment."""
        self._send()
        if self._failure:
            failure, self._failure = self._failure, None
            raise failure
        if not self._socket.poll(CHECK_INTERVAL * 1000):
            return None
        frames = self._socket.recv_multipart()
        try:
            header = Header.parse(frames[0])
        except WireError:
            return None
        if len(frames) != 1 or header.type != wire.EVENT:
            return None
        return header.id, header.word16, frames[0][wire.HEADER_SIZE + header.ext_len:]

    def acknowledge(self, sequence: int) -> None:
        """Takes a number and returns at once: while a call is under way, more of them gather for the next."""
        self._waiting.append(sequence)
        self._send()

    def _send(self) -> None:
        """Sends what waits; now and then an empty acknowledgement. A lost one does no harm: the event comes again."""
        if self._call:
            if not self._call.done():
                return
            self._failure = self._call.exception() or self._failure
            self._call = None
        now = time.monotonic()
        if self._waiting or now >= self._asked + CHECK_INTERVAL:
            sequences, self._waiting = self._waiting[:MOST_ACKED], self._waiting[MOST_ACKED:]
            self._asked = now
            self._call = self._orders.AckCompletions.future(
                order_service_pb2.AckCompletionsRequest(group=self._group, member_id=self._member, sequences=sequences),
                endpoint=self._endpoint)

    def end(self) -> None:
        """Acknowledges what waits, and closes the channel."""
        try:
            while self._waiting:
                concurrent.futures.wait([self._call] if self._call else [])
                self._send()
            if self._call:
                self._call.exception()
        finally:
            self.close()

    def close(self) -> None:
        self._socket.close()
