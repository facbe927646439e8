"""Servers of another make: newer, older, and such that break the protocol."""
import threading
import unittest

import orderwire
from orderwire import wire
from orderwire.echo.v1 import echo_service_pb2

from . import stub_server, stub_shop
from .support import PATIENCE, eventually, free_port
from .test_completions import Subscriber

ECHO = echo_service_pb2.DESCRIPTOR.services_by_name["EchoService"]


class OtherServerTests(unittest.TestCase):
    def test_each_server_is_made_of_what_it_says(self):
        for scenario, expected in stub_server.SCENARIOS.items():
            with self.subTest(scenario):
                port = free_port()
                stub = stub_server.Stub(scenario, port)
                threading.Thread(target=stub.serve, daemon=True).start()
                self.assertEqual(self.outcome(port, 1.0 if scenario == "critical-flag" else PATIENCE), expected)

    def test_a_subscriber_finds_its_way_through_gaps_repetitions_and_news(self):
        port = free_port()
        shop = stub_shop.StubShop(port)
        self.addCleanup(shop.close)
        threading.Thread(target=shop.serve, daemon=True).start()
        with orderwire.Channel(f"tcp://127.0.0.1:{port}", name="tester", timeout=PATIENCE, connect_timeout=PATIENCE) as channel:
            subscriber = Subscriber(channel, "g", after=0)
            seen = [completion.sequence for completion in subscriber.take(len(stub_shop.SEEN))]
            self.assertTrue(eventually(lambda: set(shop.acked) == set(stub_shop.SEEN)), shop.acked)
            self.assertEqual(shop.subscriptions, 3)
        self.assertEqual(seen, stub_shop.SEEN)
        subscriber.thread.join(PATIENCE)
        self.assertEqual(subscriber.error.reason, "CHANNEL_CLOSED")

    def test_a_client_says_bye_when_the_server_drains(self):
        port = free_port()
        stub = stub_server.Stub("drains", port)
        threading.Thread(target=stub.serve, daemon=True).start()
        with orderwire.Channel(f"tcp://127.0.0.1:{port}", name="tester", connect_timeout=PATIENCE) as channel:
            orderwire.Stub(channel, ECHO).Echo(echo_service_pb2.EchoRequest(payload=b"x"), timeout=PATIENCE)
            self.assertTrue(eventually(lambda: wire.BYE in stub.received))

    def outcome(self, port, timeout):
        with orderwire.Channel(f"tcp://127.0.0.1:{port}", name="tester", connect_timeout=PATIENCE) as channel:
            try:
                answer = orderwire.Stub(channel, ECHO).Echo(echo_service_pb2.EchoRequest(payload=b"x"), timeout=timeout)
            except orderwire.RPCError as error:
                return error.code.name, error.reason, error.disposition.name
            self.assertEqual(answer.payload, b"x")
            return None


if __name__ == "__main__":
    unittest.main()
