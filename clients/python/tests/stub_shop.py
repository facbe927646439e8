"""A shop of another make, for subscribers: the scenario "completions" of stub_server. What it pushes has gaps, repetitions and news in it.

A subscriber to group "g" has to see the completions 1, 2, 3, 4 and 6, in this order, each once: the first membership loses the second
event, and the next one a last event that only a heartbeat tells of.
"""
import threading

import zmq
from zmq.auth.thread import ThreadAuthenticator

from orderwire import wire
from orderwire.errors import Disposition
from orderwire.orders.v1 import order_pb2, order_service_pb2
from orderwire.wire import Header

from . import stub_server
from .stub_server import UNKNOWN_FIELDS, UNKNOWN_TLV

EPOCH = 9
SEEN = [1, 2, 3, 4, 6]
MEMBER, TOKEN = "member-1", "s3cret"


def completion(sequence):
    return order_pb2.Completion(sequence=sequence, order_id=f"order-{sequence}", state=order_pb2.ORDER_STATE_FULFILLED)


class StubShop(stub_server.Stub):
    def __init__(self, port):
        super().__init__("completions", port)
        self.acked = []
        context = zmq.Context.instance()
        self.authenticator = ThreadAuthenticator(context)
        self.authenticator.start()
        self.authenticator.configure_plain(domain="events", passwords={MEMBER: TOKEN})
        self.subscriptions = 0
        self.channels = []
        orders = "orderwire.orders.v1.OrderService/"
        self.methods = {
            wire.method_id(orders + "Subscribe"): self.subscribe,
            wire.method_id(orders + "AckCompletions"): self.acknowledge,
        }

    def close(self):
        self.authenticator.stop()

    def answer(self, peer, request, payload):
        response = self.methods[request.word24](payload)
        header = Header(wire.RESPONSE, id=request.id, word16=EPOCH, word28=Disposition.EXECUTED << 8)
        self.send(peer, header, UNKNOWN_TLV, response.SerializeToString() + UNKNOWN_FIELDS)

    def subscribe(self, payload):
        assert order_service_pb2.SubscribeRequest.FromString(payload).group == "g"
        self.subscriptions += 1
        events = zmq.Context.instance().socket(zmq.PUSH)
        events.setsockopt(zmq.LINGER, 0)
        events.setsockopt(zmq.PLAIN_SERVER, 1)
        events.setsockopt_string(zmq.ZAP_DOMAIN, "events")
        port = events.bind_to_random_port("tcp://127.0.0.1", 20_000, 32_000)
        self.channels.append(events)  # what is let go is closed, and loses what has not left
        threading.Thread(target=self.push, args=(events, self.subscriptions), daemon=True).start()
        return order_service_pb2.SubscribeResponse(
            endpoint=f"tcp://127.0.0.1:{port}", token=TOKEN, member_id=MEMBER, acked_sequence=0)

    def acknowledge(self, payload):
        request = order_service_pb2.AckCompletionsRequest.FromString(payload)
        assert (request.group, request.member_id) == ("g", MEMBER)
        self.acked += request.sequences
        # Nobody knows the mark here: what comes again has to be told by its number.
        return order_service_pb2.AckCompletionsResponse(acked_sequence=0)

    def push(self, events, subscription):
        """Waits at the first event until the member has logged in."""
        def event(sequence, previous, tlvs=b"", **fields):
            header = Header(wire.EVENT, ext_len=len(tlvs), id=sequence, word16=previous, word24=EPOCH)._replace(**fields)
            return header.pack() + tlvs + completion(sequence).SerializeToString()

        if subscription == 1:
            events.send(event(1, 0))
            events.send(event(1, 1, type=wire.EVENT_HEARTBEAT))
            events.send(event(7, 1, type=13))
            events.send(event(7, 1, flags=0x100))
            events.send(event(7, 1)[:31])
            events.send_multipart([event(7, 1), b""])
            events.send(event(3, 2))  # 2 was lost on the way
            events.send(event(4, 3))  # too late: the member has left
        elif subscription == 2:
            events.send(event(1, 0))  # nobody had heard of its acknowledgement
            events.send(event(2, 1))
            events.send(event(3, 2, UNKNOWN_TLV, flags=0xFF) + UNKNOWN_FIELDS)
            events.send(event(4, 3))
            events.send(event(6, 6, type=wire.EVENT_HEARTBEAT))  # 6 was sent, and is lost
        else:
            events.send(event(2, 0))  # again
            events.send(event(6, 2))  # 5 is another group's
            events.send(event(6, 6, type=wire.EVENT_HEARTBEAT))
