"""What a server does with single messages (protos/vectors/messages.json), told by a real server to a bare socket."""
import unittest

from orderwire import wire
from orderwire.errors import Code, parse_failure
from orderwire.wire import Header

from .support import PROGRAMS, RawPeer, Server
from .test_vectors import TYPES, vectors

CANARY = bytes.fromhex("0a0663616e617279")


@unittest.skipUnless(PROGRAMS, "ORDERWIRE_PROGRAMS is not set")
class MessageTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("echo-server")
        cls.addClassCleanup(cls.server.kill)

    def test_every_message_gets_the_answer_of_its_vector(self):
        for vector in vectors("messages"):
            with self.subTest(vector["name"]):
                peer = RawPeer(self.server.endpoint)
                try:
                    self.check(peer, vector)
                finally:
                    peer.close()

    def check(self, peer, vector):
        if vector["session"]:
            peer.greet()
        peer.send(*map(bytes.fromhex, vector["frames"]))
        if vector["answer"]:
            self.expect(peer.receive(), vector["answer"])
        # Whatever it was, the next message is answered next.
        peer.send(Header(wire.PING, id=4711).pack(), b"")
        header, _, _ = peer.receive()
        self.assertEqual((header.type, header.id), (wire.PONG, 4711))
        if not vector["session"]:
            peer.greet()
        peer.send(Header(wire.REQUEST, id=4712, word16=2000, word24=wire.method_id("orderwire.echo.v1.EchoService/Echo")).pack(), CANARY)
        header, tlvs, payload = peer.receive()
        self.assertEqual((header.type, header.id, header.status, payload), (wire.RESPONSE, 4712, Code.OK, CANARY))
        self.assertEqual((header.flags, tlvs), (0, b""))  # nothing that was not asked for

    def expect(self, answer, expected):
        header, _, payload = answer
        self.assertEqual((header.type, header.id), (TYPES[expected["type"]], int(expected["id"])))
        if expected.get("code") == "OK":
            self.assertEqual((header.status, payload.hex()), (Code.OK, expected["payload"]))
        elif "code" in expected:
            error = parse_failure(header, payload)
            self.assertEqual((error.code.name, error.reason, error.disposition.name),
                             (expected["code"], expected["reason"], expected["disposition"]))


if __name__ == "__main__":
    unittest.main()
