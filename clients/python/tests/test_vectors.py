"""protos/vectors, which the server's own tests check as well."""
import importlib
import json
import unittest

from orderwire import wire
from orderwire.errors import parse_failure
from orderwire.runtime.v1 import session_pb2, status_pb2
from orderwire.wire import Extensions, Header, WireError

from .support import ROOT, VECTORS

TYPES = {name: getattr(wire, name) for name in (
    "HELLO", "HELLO_ACK", "REQUEST", "RESPONSE", "CANCEL", "PING", "PONG", "DRAIN", "BYE", "PROTOCOL_ERROR", "EVENT", "EVENT_HEARTBEAT")}


def vectors(name):
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))["vectors"]


class VectorTests(unittest.TestCase):
    def each(self, name, check):
        found = vectors(name)
        self.assertTrue(found)
        for vector in found:
            with self.subTest(vector.get("name", vector.get("fullName"))):
                check(vector)

    def test_method_ids(self):
        def check(vector):
            self.assertEqual(f"{wire.method_id(vector['fullName']):08x}", vector["id"])
        self.each("method-ids", check)
        self.assertLessEqual(self.methods(), {vector["fullName"] for vector in vectors("method-ids")})

    def methods(self):
        """Of all .proto files."""
        paths = [path.relative_to(ROOT / "protos").with_suffix("") for path in (ROOT / "protos").glob("orderwire/**/*.proto")]
        files = [importlib.import_module(".".join(path.parts) + "_pb2").DESCRIPTOR for path in paths]
        return {f"{service.full_name}/{method.name}" for file in files for service in file.services_by_name.values()
                for method in service.methods}

    def test_headers(self):
        def check(vector):
            frame = bytes.fromhex(vector["frame"])
            if "defect" in vector:
                with self.assertRaises(WireError) as raised:
                    Header.parse(frame)
                self.assertEqual(raised.exception.defect, vector["defect"])
                return
            header = Header(TYPES[vector["type"]], vector["flags"], vector["extLength"], int(vector["id"]), int(vector["word16"]),
                            vector["word24"], vector["word28"])
            self.assertEqual(Header.parse(frame), header)
            self.assertEqual(header.pack(), frame[:wire.HEADER_SIZE])
        self.each("headers", check)

    def test_tlvs(self):
        def check(vector):
            tlvs = bytes.fromhex(vector["tlvs"])
            if "defect" in vector:
                with self.assertRaises(WireError) as raised:
                    Extensions.parse(tlvs)
                self.assertEqual(raised.exception.defect, vector["defect"])
                return
            read = Extensions.parse(tlvs)
            self.assertEqual(read.traceparent, vector["traceparent"])
            self.assertEqual(read.metadata, [tuple(pair) for pair in vector["metadata"]])
            self.assertEqual(read.skipped, vector["skipped"])
            timings = read.timings and [round(seconds * 1e6) for seconds in vars(read.timings).values()]
            self.assertEqual(timings, vector["timings"])
            if timings is None:  # this side never writes them
                self.assertEqual(read.pack() == tlvs, vector["canonical"])
        self.each("tlvs", check)

    def test_failures(self):
        def check(vector):
            header = Header(wire.RESPONSE, word28=vector["status"] | vector["disposition"] << 8)
            error, expected = parse_failure(header, bytes.fromhex(vector["payload"])), vector["error"]
            self.assertEqual((error.code.name, error.reason, error.disposition.name),
                             (expected["code"], expected["reason"], expected["disposition"]))
            self.assertIn(expected["message"], (None, error.message))
            self.assertEqual(error.metadata, expected["metadata"])
            self.assertEqual([[violation.field, violation.description] for violation in error.violations], expected["violations"])
            delay = None if error.retry_delay is None else round(error.retry_delay * 1e6)
            self.assertEqual(delay, expected["retryDelayMicroseconds"])
        self.each("status", check)

    def test_ages(self):
        def check(vector):
            estimator = AgeEstimator()
            for request in vector["requests"]:
                age = estimator.age(int(request["sentAt"]), int(request["arrival"]))
                self.assertEqual(age, int(request["age"]))
        self.each("ages", check)

    def test_the_exchange_can_be_read_and_written_again(self):
        messages = {"HELLO": session_pb2.Hello, "HELLO_ACK": session_pb2.HelloAck, "PONG": session_pb2.Pong,
                    "PROTOCOL_ERROR": status_pb2.Status}
        for vector in vectors("exchange"):
            frame, payload = bytes.fromhex(vector["header"] + vector["tlvs"]), bytes.fromhex(vector["payload"])
            if frame[2] != wire.VERSION:
                self.assertRaises(WireError, Header.parse, frame)
                continue
            header = Header.parse(frame)
            self.assertEqual(header.type, TYPES[vector["type"]])
            self.assertEqual(header.pack(), frame[:wire.HEADER_SIZE])
            self.assertEqual(Extensions.parse(frame[wire.HEADER_SIZE:]).pack(), frame[wire.HEADER_SIZE:])
            if vector["type"] in messages:
                message = messages[vector["type"]].FromString(payload)
                self.assertEqual(message.SerializeToString(deterministic=True), payload)

    def test_the_document_prints_the_exchange(self):
        document = (ROOT / "docs" / "wire-protocol.md").read_text(encoding="utf-8")
        block = document.split("```hex\n")[1].split("```")[0]
        printed, part = [], ""
        for line in block.splitlines():
            if not line.startswith(" "):
                sender, name = line.split()
                printed.append({"from": sender, "type": name, "header": "", "tlvs": "", "payload": ""})
                continue
            part = line[:12].strip() or part
            printed[-1][part] += "".join(line[13:60].split())  # bytes stand in columns 13 to 59, their text behind them
        self.assertEqual(printed, vectors("exchange"))


class AgeEstimator:
    """A server's reckoning, from the words of the document: differences of the window before this one and of this one."""

    WINDOW = 30_000_000

    def __init__(self):
        self.start, self.smallest = 0, [None, None]

    def age(self, sent_at, arrival):
        passed = (arrival - self.start) % 2**64
        if passed >= self.WINDOW:
            self.start, self.smallest = arrival, [self.smallest[1] if passed < 2 * self.WINDOW else None, None]
        difference = (arrival - sent_at + 2**63) % 2**64 - 2**63
        self.smallest[1] = difference if self.smallest[1] is None else min(self.smallest[1], difference)
        age = difference - min(number for number in self.smallest if number is not None)
        return age if age < 2**63 else 0


if __name__ == "__main__":
    unittest.main()
