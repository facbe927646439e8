"""A shop of another make, for subscribers: the scenario "completions" of stub_server. What it pushes has gaps, repetitions and news in it.

A subscriber to group "g" has to see the completions 1, 2, 3, 4 and 6, in this order, each once.
"""
import threading

import zmq
from zmq.auth.thread import ThreadAuthenticator

from orderwire import wire
from orderwire.errors import Disposition
from orderwire.orders.v1 import order_pb2, order_service_pb2
from orderwire.runtime.v1 import runtime_service_pb2
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
        self.events = context.socket(zmq.PUSH)
        self.events.setsockopt(zmq.LINGER, 0)
        self.events.setsockopt(zmq.PLAIN_SERVER, 1)
        self.events.setsockopt_string(zmq.ZAP_DOMAIN, "events")
        self.event_port = self.events.bind_to_random_port("tcp://127.0.0.1", 20_000, 32_000)
        self.is_pushing = False
        orders = "orderwire.orders.v1.OrderService/"
        self.methods = {
            wire.method_id(orders + "Subscribe"): self.subscribe,
            wire.method_id(orders + "AckCompletions"): self.acknowledge,
            wire.method_id(orders + "ListCompletions"): self.list,
            wire.method_id("orderwire.runtime.v1.RuntimeService/Stats"): lambda _: runtime_service_pb2.StatsResponse(server_epoch=EPOCH),
        }

    def close(self):
        self.authenticator.stop()

    def answer(self, peer, request, payload):
        response = self.methods[request.word24](payload)
        header = Header(wire.RESPONSE, id=request.id, word16=EPOCH, word28=Disposition.EXECUTED << 8)
        self.send(peer, header, UNKNOWN_TLV, response.SerializeToString() + UNKNOWN_FIELDS)

    def subscribe(self, payload):
        assert order_service_pb2.SubscribeRequest.FromString(payload).group == "g"
        if not self.is_pushing:
            self.is_pushing = True
            threading.Thread(target=self.push, daemon=True).start()
        return order_service_pb2.SubscribeResponse(
            endpoint=f"tcp://127.0.0.1:{self.event_port}", token=TOKEN, member_id=MEMBER, acked_sequence=0)

    def acknowledge(self, payload):
        request = order_service_pb2.AckCompletionsRequest.FromString(payload)
        assert (request.group, request.member_id) == ("g", MEMBER)
        self.acked += request.sequences
        return order_service_pb2.AckCompletionsResponse(acked_sequence=max(self.acked, default=0))

    def list(self, payload):
        after = order_service_pb2.ListCompletionsRequest.FromString(payload).after_sequence
        # A page may be short.
        found = [completion(sequence) for sequence in SEEN if sequence > after][:1]
        return order_service_pb2.ListCompletionsResponse(completions=found, last_sequence=found[-1].sequence if found else after)

    def push(self):
        """Waits at the first event until the member has logged in."""
        def event(sequence, previous, tlvs=b"", **fields):
            header = Header(wire.EVENT, ext_len=len(tlvs), id=sequence, word16=previous, word24=EPOCH)._replace(**fields)
            return header.pack() + tlvs + completion(sequence).SerializeToString()

        self.events.send(event(1, 0))
        self.events.send(event(7, 1, type=wire.EVENT_HEARTBEAT))
        self.events.send(event(7, 1, type=13))
        self.events.send(event(7, 1, flags=0x100))
        self.events.send(event(7, 1)[:31])
        self.events.send_multipart([event(7, 1), b""])
        self.events.send(event(3, 2))  # 2 was lost on the way
        self.events.send(event(4, 3, UNKNOWN_TLV, flags=0xFF) + UNKNOWN_FIELDS)
        self.events.send(event(2, 1))  # nobody had heard of its acknowledgement
        self.events.send(event(6, 4))  # 5 is another group's
