"""Real servers for the tests, as processes, and a peer that says whatever a test wants."""
import os
import pathlib
import random
import signal
import socket
import subprocess
import tempfile
import time

import zmq

from orderwire import wire
from orderwire.runtime.v1 import session_pb2
from orderwire.wire import Header

ROOT = pathlib.Path(__file__).resolve().parents[3]
VECTORS = ROOT / "protos" / "vectors"
PROGRAMS = os.environ.get("ORDERWIRE_PROGRAMS")
"""The folder with the programs that `swift build` makes."""
PATIENCE = 60.0
"""Seconds that nothing here takes, on a machine with much else to do."""


def free_port():
    """A port that nobody listens on, below those that the system gives to connections."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


class Process:
    """A program of ours; it ends with the test at the latest."""

    def __init__(self, name, *arguments):
        self.child = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", f"{PROGRAMS}/{name}", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, env={**os.environ, "SWIFT_BACKTRACE": "enable=no"})
        line = self.child.stdout.readline()
        if not line.startswith("ready"):
            self.kill()
            raise RuntimeError(f"{name} did not start: {line}")

    def kill(self):
        self.child.send_signal(signal.SIGKILL)
        self._end()

    def terminate(self):
        """Ends it as an administrator would, and returns its exit status."""
        self.child.send_signal(signal.SIGTERM)
        return self._end()

    def _end(self):
        try:
            return self.child.wait(timeout=PATIENCE)
        finally:
            self.child.kill()
            self.child.stdin.close()
            self.child.stdout.close()


class Server(Process):
    """runtime-peer in one of its roles."""

    def __init__(self, role, port=None):
        self.port = port or free_port()
        self.endpoint = f"tcp://127.0.0.1:{self.port}"
        super().__init__("runtime-peer", role, str(self.port))


class Shop(Process):
    """orderwire serve, with a MongoDB of its own in a folder."""

    def __init__(self, folder, endpoint=None):
        self.endpoint = endpoint or f"tcp://127.0.0.1:{free_port()}"
        super().__init__(
            "orderwire", "serve", "--listen", self.endpoint, "--mongodb", "embedded", "--data", folder, "--events",
            "tcp://127.0.0.1:0", "--log-level", "error")


class RawPeer:
    """A DEALER that knows nothing of sessions: no client library, and none of its promises."""

    def __init__(self, endpoint):
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.connect(endpoint)

    def send(self, *frames):
        self.socket.send_multipart(frames)

    def receive(self, seconds=PATIENCE):
        """The next message's header, TLVs and payload; None where none comes."""
        if not self.socket.poll(seconds * 1000):
            return None
        frame, payload = self.socket.recv_multipart()
        header = Header.parse(frame)
        return header, frame[wire.HEADER_SIZE:], payload

    def greet(self, name="raw"):
        hello = session_pb2.Hello(min_version=1, max_version=1, client_name=name)
        self.send(Header(wire.HELLO).pack(), hello.SerializeToString())
        header, _, payload = self.receive()
        assert header.type == wire.HELLO_ACK
        return session_pb2.HelloAck.FromString(payload)

    def close(self):
        self.socket.close()


def eventually(condition):
    """Whether it comes true in time."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return False


def temporary_folder():
    return tempfile.TemporaryDirectory(prefix="orderwire-python-")
