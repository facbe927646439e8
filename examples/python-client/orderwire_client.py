"""A small client for Orderwire servers, written from docs/wire-protocol.md alone. One thread, one call at a time.

    orderwire_client.py ENDPOINT         asks for the server's health
    orderwire_client.py ENDPOINT --echo  sends each line of its input to a test server's echo service
"""
import argparse
import collections
import struct
import sys
import time

import zmq
from orderwire.echo.v1 import echo_service_pb2 as echo
from orderwire.runtime.v1 import health_service_pb2 as health, session_pb2 as session, status_pb2 as status

HEADER = struct.Struct("<2sBBHHQQII")
Header = collections.namedtuple("Header", "magic version type flags ext_len id word16 word24 word28")
MAGIC, VERSION = b"\x5a\xd1", 1
HELLO, HELLO_ACK, REQUEST, RESPONSE, CANCEL, PING, PONG, DRAIN, BYE, PROTOCOL_ERROR = range(1, 11)
MAYBE, NOT_EXECUTED, EXECUTED = range(3)
UNAVAILABLE, DEADLINE_EXCEEDED = 14, 4


class CallFailed(Exception):
    def __init__(self, code, disposition, reason, message):
        super().__init__(f"{reason} (code {code}, disposition {disposition}): {message}")
        self.code, self.disposition, self.reason = code, disposition, reason


def method_id(name):
    value = 0x811C9DC5
    for byte in name.encode():
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


class Client:
    def __init__(self, endpoint, name):
        self.name, self.last_id, self.limits, self.draining = name, 0, None, False
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.setsockopt(zmq.IMMEDIATE, 1)  # what cannot be sent now stays here
        self.socket.setsockopt(zmq.LINGER, 100)  # BYE may take a moment
        self.monitor = self.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        self.socket.connect(endpoint)

    def call(self, method, request, response, timeout=5.0, idempotent=False):
        """Returns `response`, filled; raises CallFailed. A call that is `idempotent` may be sent twice."""
        deadline = time.monotonic() + timeout
        self._look()
        while True:
            try:
                if self.limits is None:
                    self._hello(deadline)
                return self._call_once(method, request, response, deadline)
            except CallFailed as failure:
                passing = failure.reason in ("SESSION_UNKNOWN", "SHUTTING_DOWN", "CONNECTION_LOST")
                repeatable = failure.disposition == NOT_EXECUTED or idempotent and failure.disposition == MAYBE
                if not passing or not repeatable or time.monotonic() >= deadline:
                    raise
                self.limits = None
                time.sleep(0.05)
            finally:
                self._part()

    def close(self):
        if self.limits is not None:
            self._send(BYE, time.monotonic() + 0.1)
        self.socket.disable_monitor()
        self.socket.close()

    def _call_once(self, method, request, response, deadline):
        self.last_id += 1
        budget = max(1, int((deadline - time.monotonic()) * 1e6))
        sent_at = time.monotonic_ns() // 1000
        self._send(REQUEST, deadline, self.last_id, sent_at, method_id(method), budget, request.SerializeToString())
        header, payload = self._receive((RESPONSE, PROTOCOL_ERROR), self.last_id, deadline, MAYBE)
        if header.type == PROTOCOL_ERROR or header.word28 & 0xFF != 0:
            raise self._failure(header, payload)
        response.ParseFromString(payload)
        return response

    def _hello(self, deadline):
        hello = session.Hello(min_version=VERSION, max_version=VERSION, client_name=self.name, user_agent="python-example")
        self._send(HELLO, deadline, payload=hello.SerializeToString())
        header, payload = self._receive((HELLO_ACK, PROTOCOL_ERROR), 0, deadline, NOT_EXECUTED)
        if header.type == PROTOCOL_ERROR:
            raise self._failure(header, payload)
        self.limits = session.HelloAck.FromString(payload).limits

    def _look(self):
        """Takes note of what came while nothing was asked."""
        try:
            self._receive((), 0, 0, NOT_EXECUTED)
        except CallFailed:
            self._part()

    def _part(self):
        """Answers DRAIN, now that nothing is in flight."""
        if self.draining:
            self.draining, self.limits = False, None
            if self.socket.poll(0, zmq.POLLOUT):
                self._send(BYE, time.monotonic())

    def _send(self, kind, deadline, id=0, word16=0, word24=0, word28=0, payload=b""):
        if not self.socket.poll(max(0, deadline - time.monotonic()) * 1000, zmq.POLLOUT):
            raise CallFailed(UNAVAILABLE, NOT_EXECUTED, "SERVER_UNREACHABLE", "no connection")
        self.socket.send_multipart([HEADER.pack(MAGIC, VERSION, kind, 0, 0, id, word16, word24, word28), payload], zmq.DONTWAIT)

    def _receive(self, kinds, id, deadline, disposition):
        """The next message of one of these kinds and with this id; others are noted or skipped."""
        poller = zmq.Poller()
        poller.register(self.socket, zmq.POLLIN)
        poller.register(self.monitor, zmq.POLLIN)
        while ready := dict(poller.poll(max(0, deadline - time.monotonic()) * 1000)):
            kind = None
            if self.socket in ready:
                frames = self.socket.recv_multipart()
                if len(frames) != 2 or len(frames[0]) < HEADER.size:
                    continue
                header = Header._make(HEADER.unpack_from(frames[0]))
                kind = header.type if header[:2] == (MAGIC, VERSION) else None
                if kind in kinds and header.id == id:
                    return header, frames[1]
                self.draining = self.draining or kind == DRAIN
            else:
                self.monitor.recv_multipart()
            if kind == BYE or self.socket not in ready:
                self.limits, self.draining = None, False
                raise CallFailed(UNAVAILABLE, disposition, "CONNECTION_LOST", "the connection or the session ended")
        raise CallFailed(DEADLINE_EXCEEDED, disposition, "DEADLINE_EXCEEDED", "no answer in time")

    def _failure(self, header, payload):
        details = status.Status.FromString(payload)
        reason = "UNKNOWN"
        for detail in details.details:
            if detail.type_url == "type.googleapis.com/google.rpc.ErrorInfo":
                reason = status.ErrorInfo.FromString(detail.value).reason
        return CallFailed(header.word28 & 0xFF, header.word28 >> 8 & 0xFF, reason, details.message)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("endpoint")
    parser.add_argument("--echo", action="store_true")
    parser.add_argument("--name", default="python-example")
    arguments = parser.parse_args()
    client = Client(arguments.endpoint, arguments.name)
    try:
        if not arguments.echo:
            answer = client.call("orderwire.runtime.v1.HealthService/Check", health.CheckRequest(), health.CheckResponse(),
                                 timeout=30, idempotent=True)
            print(health.ServingStatus.Name(answer.status).removeprefix("SERVING_STATUS_"))
        for line in sys.stdin.buffer if arguments.echo else ():
            request = echo.EchoRequest(payload=line)
            answer = client.call("orderwire.echo.v1.EchoService/Echo", request, echo.EchoResponse(), timeout=30, idempotent=True)
            sys.stdout.buffer.write(answer.payload)
            sys.stdout.buffer.flush()
    except CallFailed as failure:
        sys.exit(str(failure))
    finally:
        client.close()


if __name__ == "__main__":
    main()
