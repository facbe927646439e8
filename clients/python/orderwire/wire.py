"""The bytes of the wire protocol: headers, TLVs, method ids. No I/O."""
from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import NamedTuple

MAGIC, VERSION = b"\x5a\xd1", 1
HEADER_SIZE, MAX_EXT_LENGTH = 32, 4096
HELLO, HELLO_ACK, REQUEST, RESPONSE, CANCEL, PING, PONG, DRAIN, BYE, PROTOCOL_ERROR, EVENT, EVENT_HEARTBEAT = range(1, 13)

WANTS_TIMINGS = 1 << 0
"""Flag of a REQUEST: its RESPONSE shall carry stage timings."""
CRITICAL_FLAGS = 0xFF00
TLV_TRACEPARENT, TLV_METADATA, TLV_TIMINGS = 1, 2, 3
TLV_CRITICAL = 0x01

_HEADER = struct.Struct("<2sBBHHQQII")
_TLV = struct.Struct("<BBH")
_TIMINGS = struct.Struct("<5I")
_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?", re.ASCII | re.DOTALL)


class WireError(Exception):
    """Bytes that are not of this protocol, or cannot be understood. `defect` says which, in the words of the vectors."""

    def __init__(self, defect: str) -> None:
        super().__init__(defect)
        self.defect = defect


class Header(NamedTuple):
    """The first 32 bytes. What the last three words mean goes by type."""

    type: int
    flags: int = 0
    ext_len: int = 0
    id: int = 0
    word16: int = 0
    word24: int = 0
    word28: int = 0

    def pack(self) -> bytes:
        return _HEADER.pack(MAGIC, VERSION, *self)

    @classmethod
    def parse(cls, frame: bytes) -> Header:
        """The header of a frame that holds it and its TLVs; for an event, the payload behind them."""
        if len(frame) < HEADER_SIZE:
            raise WireError("tooShort")
        magic, version, *rest = _HEADER.unpack_from(frame)
        if magic != MAGIC:
            raise WireError("badMagic")
        if version != VERSION:
            raise WireError("unsupportedVersion")
        header = cls(*rest)
        if not HELLO <= header.type <= EVENT_HEARTBEAT:
            raise WireError("unknownType")
        if header.flags & CRITICAL_FLAGS:
            raise WireError("unknownCriticalFlags")
        if header.ext_len > MAX_EXT_LENGTH or header.ext_len > len(frame) - HEADER_SIZE:
            raise WireError("badExtensionLength")
        return header

    @property
    def status(self) -> int:
        return self.word28 & 0xFF

    @property
    def disposition(self) -> int:
        return self.word28 >> 8 & 0xFF

    @property
    def epoch(self) -> int:
        """Of a RESPONSE."""
        return self.word16 & 0xFFFFFFFF


@dataclass(frozen=True)
class StageTimings:
    """Where a call's time went in the server, in seconds."""

    queued: float
    decoded: float
    handler: float
    database: float
    encoded: float


@dataclass
class Extensions:
    """What TLVs say."""

    traceparent: str | None = None
    metadata: list[tuple[str, str]] | None = None
    timings: StageTimings | None = None
    skipped: int = 0

    def pack(self) -> bytes:
        """All TLVs; ValueError where they break a limit."""
        tlvs = []
        if self.traceparent is not None:
            tlvs.append(_tlv(TLV_TRACEPARENT, self.traceparent.encode()))
        for key, value in self.metadata or []:
            name = key.encode()
            if not 1 <= len(name) <= 255:
                raise ValueError("the key of a metadata pair has 1 to 255 bytes")
            tlvs.append(_tlv(TLV_METADATA, bytes([len(name)]) + name + value.encode()))
        packed = b"".join(tlvs)
        if len(packed) > MAX_EXT_LENGTH:
            raise ValueError(f"traceparent and metadata together have {len(packed)} bytes, {MAX_EXT_LENGTH} are allowed")
        return packed

    @classmethod
    def parse(cls, data: bytes) -> Extensions:
        found = cls(metadata=[])
        while data:
            if len(data) < _TLV.size:
                raise WireError("cut")
            kind, flags, length = _TLV.unpack_from(data)
            value, data = data[_TLV.size:_TLV.size + length], data[_TLV.size + length:]
            if len(value) < length:
                raise WireError("cut")
            found._take(kind, flags, value)
        return found

    def _take(self, kind: int, flags: int, value: bytes) -> None:
        if kind == TLV_TRACEPARENT:
            if is_traceparent(value):
                self.traceparent = value.decode()
            else:
                self.skipped += 1
        elif kind == TLV_METADATA:
            end = 1 + (value[0] if value else 0)
            if end < 2 or end > len(value):
                raise WireError("malformedMetadata")
            try:
                self.metadata.append((value[1:end].decode(), value[end:].decode()))
            except UnicodeDecodeError:
                raise WireError("malformedMetadata") from None
        elif kind == TLV_TIMINGS:
            if len(value) != _TIMINGS.size:
                raise WireError("malformedTimings")
            self.timings = StageTimings(*(number / 1e6 for number in _TIMINGS.unpack(value)))
        elif flags & TLV_CRITICAL:
            raise WireError("unknownCritical")
        else:
            self.skipped += 1


def _tlv(kind: int, value: bytes) -> bytes:
    if len(value) > MAX_EXT_LENGTH:
        raise ValueError(f"a TLV of {len(value)} bytes")
    return _TLV.pack(kind, 0, len(value)) + value


def is_traceparent(value: bytes) -> bool:
    """Whether W3C's recommendation lets a receiver use it: version 00 has 55 characters, later versions may go on after a dash."""
    return _TRACEPARENT.fullmatch(value) is not None and value.isascii() and (len(value) == 55 or not value.startswith(b"00"))


def method_id(full_name: str) -> int:
    """FNV-1a, 32 bits, of "package.Service/Method"."""
    value = 0x811C9DC5
    for byte in full_name.encode():
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value
