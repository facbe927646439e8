"""A client that knows the first version of the wire document only, in 30 lines: no flags, no TLVs, no features."""
import struct
import unittest

import zmq

from orderwire.runtime.v1 import health_service_pb2, session_pb2

from .support import PATIENCE, PROGRAMS, Server

HELLO, HELLO_ACK, REQUEST, RESPONSE, PING, PONG, DRAIN, BYE = 1, 2, 3, 4, 6, 7, 8, 9
CHECK = 0xA027DE93


class OldClient:
    def __init__(self, endpoint):
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 1000)
        self.socket.connect(endpoint)

    def send(self, kind, id=0, word16=0, word24=0, word28=0, payload=b""):
        self.socket.send_multipart([struct.pack("<2sBBHHQQII", b"\x5a\xd1", 1, kind, 0, 0, id, word16, word24, word28), payload])

    def receive(self):
        """Type, id, status and payload; what it would not understand is a failure."""
        if not self.socket.poll(PATIENCE * 1000):
            raise TimeoutError
        header, payload = self.socket.recv_multipart()
        magic, version, kind, flags, ext_len, id, _, _, word28 = struct.unpack("<2sBBHHQQII", header)
        assert (magic, version, flags, ext_len) == (b"\x5a\xd1", 1, 0, 0) and kind <= 12
        return kind, id, word28 & 0xFFFF, payload


@unittest.skipUnless(PROGRAMS, "ORDERWIRE_PROGRAMS is not set")
class OldClientTests(unittest.TestCase):
    def test_a_whole_session_as_of_the_first_day(self):
        server = Server("echo-server")
        self.addCleanup(server.kill)
        client = OldClient(server.endpoint)
        self.addCleanup(client.socket.close)
        client.send(HELLO, payload=session_pb2.Hello(min_version=1, max_version=1, client_name="old").SerializeToString())
        kind, _, _, payload = client.receive()
        ack = session_pb2.HelloAck.FromString(payload)
        self.assertEqual((kind, ack.version, ack.identity, list(ack.features)), (HELLO_ACK, 1, "old", []))
        client.send(REQUEST, id=1, word16=1000, word24=CHECK)
        kind, id, status, payload = client.receive()
        self.assertEqual((kind, id, status), (RESPONSE, 1, 0x0200))  # OK, EXECUTED
        self.assertEqual(health_service_pb2.CheckResponse.FromString(payload).status, 1)
        client.send(PING, id=9)
        self.assertEqual(client.receive()[:2], (PONG, 9))
        server.child.terminate()
        self.assertEqual(client.receive()[0], DRAIN)
        client.send(REQUEST, id=2, word16=2000, word24=CHECK)
        answer = client.receive()[:3]
        if answer[0] != BYE:  # which it says to who takes long
            self.assertEqual(answer, (RESPONSE, 2, 0x010E))  # UNAVAILABLE, NOT_EXECUTED
        client.send(BYE)
        self.assertEqual(server.child.wait(PATIENCE), 0)


if __name__ == "__main__":
    unittest.main()
