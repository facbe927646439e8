"""A server of another make: `stub_server.py SCENARIO PORT` says "ready" and serves until its input ends.

It keeps to the wire document, as a newer or an older server might, or breaks it. SCENARIOS names what a client has to make of
each: None for a call that succeeds with its own payload, else code, reason and disposition of its failure.
"""
import os
import sys
import threading

import zmq

from orderwire import wire
from orderwire.errors import Code, Disposition
from orderwire.runtime.v1 import session_pb2, status_pb2
from orderwire.wire import Header

SCENARIOS = {
    "newer": None,
    "older": None,
    "chatty": None,
    "drains": None,
    "unknown-status": ("UNKNOWN", "NEW_REASON", "MAYBE"),
    "no-details": ("FAILED_PRECONDITION", "UNKNOWN", "EXECUTED"),
    "unreadable-details": ("NOT_FOUND", "UNKNOWN", "EXECUTED"),
    "foreign-details": ("ABORTED", "NEW_REASON", "EXECUTED"),
    "protocol-error": ("INVALID_ARGUMENT", "MALFORMED_HEADER", "NOT_EXECUTED"),
    "protocol-error-ok": ("UNKNOWN", "MALFORMED_HEADER", "NOT_EXECUTED"),
    "critical-tlv": ("INTERNAL", "MALFORMED_RESPONSE", "EXECUTED"),
    "cut-tlv": ("INTERNAL", "MALFORMED_RESPONSE", "EXECUTED"),
    "failure-with-critical-tlv": ("NOT_FOUND", "NEW_REASON", "EXECUTED"),
    "critical-flag": ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", "MAYBE"),
    "another-version": ("INTERNAL", "MALFORMED_RESPONSE", "NOT_EXECUTED"),
    "no-version-in-common": ("UNIMPLEMENTED", "VERSION_UNSUPPORTED", "NOT_EXECUTED"),
}

UNKNOWN_FIELDS = bytes.fromhex("f201036e6577f80107")  # numbers 30 and 31, of two wire types
UNKNOWN_TLV, CRITICAL_TLV, CUT_TLV = bytes.fromhex("c8000200abcd"), bytes.fromhex("c8010000"), bytes.fromhex("c800ffff")


def status_payload(code, reason):
    status = status_pb2.Status(code=code, message="said by a stub")
    detail = status.details.add(type_url="type.googleapis.com/google.rpc.ErrorInfo")
    detail.value = status_pb2.ErrorInfo(reason=reason, domain="orderwire").SerializeToString()
    return status.SerializeToString()


class Stub:
    def __init__(self, scenario, port):
        self.scenario, self.received = scenario, []
        self.socket = zmq.Context.instance().socket(zmq.ROUTER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.bind(f"tcp://127.0.0.1:{port}")

    def serve(self):
        while True:
            peer, frame, payload = self.socket.recv_multipart()
            header = Header.parse(frame)
            self.received.append(header.type)
            if header.type == wire.HELLO:
                self.greet(peer)
            elif header.type == wire.REQUEST:
                self.answer(peer, header, payload)
            elif header.type == wire.PING:
                self.send(peer, Header(wire.PONG, id=header.id), payload=UNKNOWN_FIELDS)

    def send(self, peer, header, tlvs=b"", payload=b""):
        self.socket.send_multipart([peer, header._replace(ext_len=len(tlvs)).pack() + tlvs, payload])

    def greet(self, peer):
        ack = session_pb2.HelloAck(version=1, session_id=7, server_epoch=9, identity="tester", heartbeat_interval_ms=1000)
        ack.limits.max_in_flight, ack.limits.max_request_bytes, ack.limits.max_response_bytes = 10, 1 << 20, 1 << 20
        header, more = Header(wire.HELLO_ACK), b""
        if self.scenario == "newer":
            header = Header(wire.HELLO_ACK, flags=0xFF, id=3, word16=1, word24=2, word28=3)
            ack.features.append("time-travel")
            ack.limits.MergeFromString(UNKNOWN_FIELDS)
            more = UNKNOWN_FIELDS
        elif self.scenario == "older":
            ack = session_pb2.HelloAck(version=1, limits=ack.limits)
        elif self.scenario == "another-version":
            ack.version = 2
        elif self.scenario == "no-version-in-common":
            error = Header(wire.PROTOCOL_ERROR, word28=Code.UNIMPLEMENTED | Disposition.NOT_EXECUTED << 8)
            return self.send(peer, error, payload=status_payload(Code.UNIMPLEMENTED, "VERSION_UNSUPPORTED"))
        tlvs = UNKNOWN_TLV if self.scenario == "newer" else b""
        self.send(peer, header, tlvs, ack.SerializeToString() + more)

    def answer(self, peer, request, payload):
        ok = Header(wire.RESPONSE, id=request.id, word16=9, word28=Disposition.EXECUTED << 8)

        def failure(code, disposition=Disposition.EXECUTED, **fields):
            return ok._replace(word28=code | disposition << 8, **fields)

        new_reason = status_payload(3, "NEW_REASON")
        header, tlvs, payload = {
            "newer": (ok._replace(flags=0xFE, word28=ok.word28 | 0xABCD0000), UNKNOWN_TLV * 3, payload + UNKNOWN_FIELDS),
            "older": (ok._replace(word16=0), b"", payload),
            "unknown-status": (failure(99, 9), b"", new_reason),
            "no-details": (failure(Code.FAILED_PRECONDITION), b"", b""),
            "unreadable-details": (failure(Code.NOT_FOUND), b"", b"\xff\xff"),
            "foreign-details": (failure(Code.ABORTED), b"", bytes.fromhex("1a0a0a086578616d706c652f") + new_reason + UNKNOWN_FIELDS),
            "protocol-error": (failure(3, 1, type=wire.PROTOCOL_ERROR), b"", status_payload(3, "MALFORMED_HEADER")),
            "protocol-error-ok": (failure(0, 1, type=wire.PROTOCOL_ERROR), b"", status_payload(0, "MALFORMED_HEADER")),
            "critical-tlv": (ok, CRITICAL_TLV, payload),
            "cut-tlv": (ok, CUT_TLV, payload),
            "failure-with-critical-tlv": (failure(Code.NOT_FOUND), CRITICAL_TLV, new_reason),
            "critical-flag": (ok._replace(flags=0x100), b"", payload),
        }.get(self.scenario, (ok, b"", payload))
        if self.scenario == "chatty":
            self.say_what_nobody_asked(peer, request)
        self.send(peer, header, tlvs, payload)
        if self.scenario == "drains":
            self.send(peer, Header(wire.DRAIN))

    def say_what_nobody_asked(self, peer, request):
        for kind in [*range(13, 30), 200, 255, wire.REQUEST, wire.CANCEL, wire.EVENT, wire.EVENT_HEARTBEAT]:
            self.send(peer, Header(kind, id=request.id), payload=b"new")
        for id in (0, request.id + 1, request.id ^ 1 << 40):
            self.send(peer, Header(wire.RESPONSE, id=id, word28=Disposition.EXECUTED << 8), payload=b"wrong")
            self.send(peer, Header(wire.PROTOCOL_ERROR, id=id, word28=3), payload=b"wrong")
        self.send(peer, Header(wire.PONG), payload=UNKNOWN_FIELDS)
        for frames in ([b""], [b"", b""], [b"\x5a\xd1"], [Header(wire.BYE).pack()[:31], b""], [Header(wire.BYE).pack()], [b"a", b"b", b"c"]):
            self.socket.send_multipart([peer, *frames])


if __name__ == "__main__":
    if sys.argv[1] == "completions":
        from .stub_shop import StubShop
        stub = StubShop(int(sys.argv[2]))
    else:
        stub = Stub(sys.argv[1], int(sys.argv[2]))
    # No orphan outlives its test, whose end of this pipe closes with it.
    threading.Thread(target=lambda: (sys.stdin.buffer.read(), os._exit(0)), daemon=True).start()
    print("ready", flush=True)
    stub.serve()
