"""Calls to a real server with an echo service."""
import concurrent.futures
import time
import unittest

import orderwire
from orderwire import Code, Disposition
from orderwire.catalog.v1 import catalog_service_pb2
from orderwire.echo.v1 import echo_service_pb2
from orderwire.runtime.v1 import health_service_pb2, runtime_service_pb2

from .support import PATIENCE, PROGRAMS, Server, eventually, free_port

ECHO = echo_service_pb2.DESCRIPTOR.services_by_name["EchoService"]
HEALTH = health_service_pb2.DESCRIPTOR.services_by_name["HealthService"]
STATS = runtime_service_pb2.DESCRIPTOR.services_by_name["RuntimeService"]
CATALOG = catalog_service_pb2.DESCRIPTOR.services_by_name["CatalogService"]


def request(payload):
    return echo_service_pb2.EchoRequest(payload=payload)


class CallCase(unittest.TestCase):
    role = "echo-server"

    @classmethod
    def setUpClass(cls):
        cls.server = Server(cls.role)
        cls.addClassCleanup(cls.server.kill)

    def setUp(self):
        self.channel = orderwire.Channel(self.server.endpoint, name="tester", timeout=PATIENCE, connect_timeout=PATIENCE)
        self.addCleanup(self.channel.close)
        self.echo = orderwire.Stub(self.channel, ECHO)

    def failure(self, call, *arguments, **options):
        with self.assertRaises(orderwire.RPCError) as raised:
            call(*arguments, **options)
        return raised.exception


@unittest.skipUnless(PROGRAMS, "ORDERWIRE_PROGRAMS is not set")
class CallTests(CallCase):
    def test_the_servers_health(self):
        answer = orderwire.Stub(self.channel, HEALTH).Check(health_service_pb2.CheckRequest())
        self.assertEqual(answer.status, health_service_pb2.SERVING_STATUS_SERVING)

    def test_payloads_of_all_sizes_come_back(self):
        for payload in (b"", b"x", "Über ZeroMQ".encode(), bytes(range(256)) * 300, b"y" * (4 << 20)):
            self.assertEqual(self.echo.Echo(request(payload)).payload, payload)

    def test_metadata_and_trace_context_travel(self):
        trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        answer = self.echo.Echo(request(b"x"), metadata=[("tenant", "blue"), ("größe", "ß")], traceparent=trace)
        self.assertEqual(answer.payload, b"x")

    def test_metadata_beyond_its_limits_is_not_sent(self):
        for metadata in ([("", "v")], [("k" * 256, "v")], [("k", "v" * 4091)]):
            self.assertRaises(ValueError, self.echo.Echo, request(b"x"), metadata=metadata)

    def test_a_call_says_where_its_time_went(self):
        seen = []
        self.echo.Echo(request(b"x"), on_timings=seen.append)
        [timings] = seen
        self.assertEqual((timings.attempts, timings.endpoint), (1, self.server.endpoint))
        stages = timings.server
        self.assertIsNotNone(stages)
        total = stages.queued + stages.decoded + stages.handler + stages.encoded
        self.assertTrue(0 <= total <= timings.round_trip, timings)
        self.assertEqual(stages.database, 0)

    def test_answers_find_their_calls(self):
        def caller(number):
            for turn in range(100):
                canary = f"{number}/{turn}".encode()
                if self.echo.Echo(request(canary)).payload != canary:
                    return False
            return True
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            self.assertTrue(all(pool.map(caller, range(8))))
        futures = [self.echo.Echo.future(request(str(number).encode())) for number in range(2000)]
        self.assertEqual([future.result().payload for future in futures], [str(number).encode() for number in range(2000)])

    def test_a_method_that_is_not_there(self):
        error = self.failure(orderwire.Stub(self.channel, CATALOG).GetProduct, catalog_service_pb2.GetProductRequest(id="p"))
        self.assertEqual((error.code, error.reason, error.disposition), (Code.UNIMPLEMENTED, "METHOD_NOT_FOUND", Disposition.NOT_EXECUTED))

    def test_a_request_that_is_too_large_is_not_sent(self):
        error = self.failure(self.echo.Echo, request(b"x" * (9 << 20)))
        self.assertEqual((error.code, error.reason, error.disposition), (Code.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE", Disposition.NOT_EXECUTED))

    def test_no_time_at_all_is_a_failure_without_a_call(self):
        error = self.failure(self.echo.Echo, request(b"x"), timeout=0)
        self.assertEqual((error.code, error.disposition, error.metadata), (Code.DEADLINE_EXCEEDED, Disposition.NOT_EXECUTED, {"place": "client"}))

    def test_names_and_endpoints_are_checked(self):
        for name in ("", "Not Allowed", "ä", "x" * 65):
            self.assertRaises(ValueError, orderwire.Channel, self.server.endpoint, name)
        self.assertRaises(ValueError, orderwire.Channel, "nowhere", "tester")

    def test_nobody_at_home(self):
        with orderwire.Channel(f"tcp://127.0.0.1:{free_port()}", name="tester", connect_timeout=0.2) as channel:
            error = self.failure(orderwire.Stub(channel, ECHO).Echo, request(b"x"))
        self.assertEqual((error.code, error.reason, error.disposition), (Code.UNAVAILABLE, "SERVER_UNREACHABLE", Disposition.NOT_EXECUTED))

    def test_a_closed_channel_says_so(self):
        self.channel.close()
        error = self.failure(self.echo.Echo, request(b"x"))
        self.assertEqual((error.reason, error.disposition), ("CHANNEL_CLOSED", Disposition.NOT_EXECUTED))


@unittest.skipUnless(PROGRAMS, "ORDERWIRE_PROGRAMS is not set")
class HeldCallTests(CallCase):
    """A server that answers nothing by itself."""

    role = "holding-server"

    def test_the_deadline_ends_a_call_that_runs(self):
        error = self.failure(self.echo.Echo, request(b"x"), timeout=0.2)
        self.assertEqual((error.code, error.disposition), (Code.DEADLINE_EXCEEDED, Disposition.MAYBE))
        self.assertIn(error.metadata["place"], ("handler", "client"))

    def test_a_call_that_is_cancelled_says_what_became_of_it(self):
        future = self.echo.Echo.future(request(b"x"))
        self.assertTrue(eventually(lambda: self.in_flight() >= 2))  # itself is the other one
        self.assertTrue(future.cancel())
        error = self.failure(future.result)
        self.assertEqual((error.code, error.reason, error.disposition), (Code.CANCELLED, "CANCELLED", Disposition.MAYBE))
        self.assertFalse(future.cancel())
        self.assertTrue(eventually(lambda: self.in_flight() == 1))

    def test_a_call_that_was_not_sent_is_cancelled_without_a_trace(self):
        with orderwire.Channel(f"tcp://127.0.0.1:{free_port()}", name="tester", connect_timeout=PATIENCE) as channel:
            future = orderwire.Stub(channel, ECHO).Echo.future(request(b"x"))
            future.cancel()
            self.assertEqual(self.failure(future.result).disposition, Disposition.NOT_EXECUTED)

    def test_closing_the_channel_ends_its_calls(self):
        future = self.echo.Echo.future(request(b"x"))
        self.assertTrue(eventually(lambda: self.in_flight() >= 2))
        began = time.monotonic()
        self.channel.close()
        error = self.failure(future.result)
        self.assertEqual((error.reason, error.disposition), ("CHANNEL_CLOSED", Disposition.MAYBE))
        self.assertLess(time.monotonic() - began, PATIENCE)

    def in_flight(self):
        return orderwire.Stub(self.channel, STATS).Stats(runtime_service_pb2.StatsRequest()).in_flight_count


if __name__ == "__main__":
    unittest.main()
