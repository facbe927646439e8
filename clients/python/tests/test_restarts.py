"""Servers that end, are killed and come back, while calls are under way."""
import signal
import threading
import time
import unittest
import unittest.mock

import orderwire
from orderwire import Code, Disposition

from .support import PATIENCE, PROGRAMS, Server, eventually
from .test_calls import ECHO, request


class Callers:
    """Calls without a pause, until they are stopped."""

    def __init__(self, channel, threads=4, **options):
        self.echo, self.options = orderwire.Stub(channel, ECHO), options
        self.errors, self.endpoints, self.count, self.is_stopped = [], [], 0, False
        self.under_way = {}
        self.threads = [threading.Thread(target=self.call) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def call(self):
        while not self.is_stopped:
            future = self.echo.Echo.future(request(b"x"), **self.options)
            self.under_way[threading.get_ident()] = future
            try:
                assert future.result().payload == b"x"
                self.endpoints.append(future.endpoint)
                self.count += 1
            except orderwire.RPCError as error:
                self.errors.append(error)

    @property
    def calls_under_way(self):
        """Where they were sent."""
        return {future.endpoint for future in list(self.under_way.values()) if not future.done() and future.endpoint}

    def more(self, count=50):
        """Waits until so many more calls have succeeded."""
        goal = self.count + count
        return eventually(lambda: self.count >= goal)

    def stop(self):
        self.is_stopped = True
        for thread in self.threads:
            thread.join()


@unittest.skipUnless(PROGRAMS, "ORDERWIRE_PROGRAMS is not set")
class RestartTests(unittest.TestCase):
    def server(self, role="echo-server", port=None):
        server = Server(role, port)
        self.addCleanup(server.kill)
        return server

    def channel(self, *servers):
        channel = orderwire.Channel([server.endpoint for server in servers], name="tester", timeout=PATIENCE, connect_timeout=PATIENCE)
        self.addCleanup(channel.close)
        return channel

    def test_calls_in_flight_learn_at_once_that_the_server_was_killed(self):
        server = self.server("holding-server")
        echo = orderwire.Stub(self.channel(server), ECHO)
        once = [echo.Echo.future(request(b"once"), idempotent=False) for _ in range(10)]
        twice = [echo.Echo.future(request(b"twice")) for _ in range(10)]
        self.assertEqual(server.child.stdout.readline(), "holds 20\n")
        killed = time.monotonic()
        server.kill()
        for future in once:
            error = future.exception(PATIENCE)
            self.assertEqual((error.code, error.reason, error.disposition), (Code.UNAVAILABLE, "CONNECTION_LOST", Disposition.MAYBE))
        self.assertLess(time.monotonic() - killed, PATIENCE / 2)
        # What may run twice is sent again, to the next server there.
        self.server("echo-server", server.port)
        self.assertEqual({future.result(PATIENCE).payload for future in twice}, {b"twice"})
        self.assertEqual(echo.Echo(request(b"after")).payload, b"after")

    def test_no_call_fails_when_a_server_drains_and_another_takes_its_place(self):
        server = self.server()
        callers = Callers(self.channel(server), idempotent=False)
        try:
            self.assertTrue(callers.more())
            for _ in range(3):
                self.assertEqual(server.terminate(), 0)
                server = self.server(port=server.port)
                self.assertTrue(callers.more())
        finally:
            callers.stop()
        self.assertEqual(callers.errors, [])

    def test_a_killed_server_is_left_and_comes_back(self):
        servers = [self.server(), self.server()]
        callers = Callers(self.channel(*servers))
        try:
            everywhere = {server.endpoint for server in servers}
            self.assertTrue(eventually(lambda: set(callers.endpoints) == everywhere))
            servers[0].kill()
            callers.more()
            callers.endpoints.clear()
            self.assertTrue(callers.more())
            self.assertEqual(set(callers.endpoints[10:]), {servers[1].endpoint})
            self.server(port=servers[0].port)
            self.assertTrue(eventually(lambda: servers[0].endpoint in callers.endpoints))
        finally:
            callers.stop()
        self.assertEqual(callers.errors, [])

    def test_a_server_that_stands_still_is_left(self):
        servers = [self.server(), self.server()]
        callers = Callers(self.channel(*servers))
        try:
            self.assertTrue(eventually(lambda: len(set(callers.endpoints)) == 2))
            with unittest.mock.patch("orderwire.connection.SILENCE_LIMIT", 1.0):
                servers[0].child.send_signal(signal.SIGSTOP)
                self.assertTrue(callers.more())
                callers.endpoints.clear()
                self.assertTrue(callers.more())
                self.assertEqual(set(callers.endpoints[10:]), {servers[1].endpoint})
                # A call that was under way there ends as with a lost connection, and goes to the other one.
                self.assertTrue(eventually(lambda: callers.calls_under_way <= {servers[1].endpoint}))
            servers[0].child.send_signal(signal.SIGCONT)
            self.assertTrue(eventually(lambda: servers[0].endpoint in callers.endpoints))
        finally:
            servers[0].child.send_signal(signal.SIGCONT)
            callers.stop()
        self.assertEqual(callers.errors, [])

    def test_two_servers_restart_one_after_the_other(self):
        servers = [self.server(), self.server()]
        callers = Callers(self.channel(*servers), idempotent=False)
        try:
            self.assertTrue(callers.more())
            for server in servers:
                self.assertEqual(server.terminate(), 0)
                self.assertTrue(callers.more())
                self.server(port=server.port)
                callers.endpoints.clear()
                self.assertTrue(eventually(lambda: server.endpoint in callers.endpoints))
        finally:
            callers.stop()
        self.assertEqual(callers.errors, [])


if __name__ == "__main__":
    unittest.main()
