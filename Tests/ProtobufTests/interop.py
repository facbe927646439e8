"""An independent judge of our codec: Google's protobuf for Python, on the same .proto files.

Reads commands from standard input, a line each, and answers each with a line:
  names PACKAGE           all messages of packages that begin so, but for entries of maps: their names, blanks between them
  random TYPE SEED        a random message: its bytes in hex, a tab, its JSON
  newer TYPE SEED         the same as someone with a newer .proto file sends it: unknown fields in it, and in messages inside it
  check TYPE HEX JSON     "ok", or how our bytes and our JSON of one message differ for Python
  parse TYPE JSON         the bytes in hex of what Python makes of the JSON, or "error"
"""
import json
import random
import subprocess
import sys
import tempfile

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import FieldDescriptor

root = sys.argv[1]
with tempfile.NamedTemporaryFile() as out:
    subprocess.run(
        ["protoc", f"-I{root}/protos", f"-I{root}/Tests/protos", "--include_imports", f"--descriptor_set_out={out.name}"]
        + sys.argv[2:], check=True)
    files = descriptor_pb2.FileDescriptorSet.FromString(open(out.name, "rb").read())
pool = descriptor_pool.DescriptorPool()
for file in files.file:
    pool.Add(file)
factory = message_factory.MessageFactory(pool)


def message_class(name):
    return factory.GetPrototype(pool.FindMessageTypeByName(name))


INTEGERS = {"int32": (-2**31, 2**31 - 1), "int64": (-2**63, 2**63 - 1), "uint32": (0, 2**32 - 1), "uint64": (0, 2**64 - 1)}
FLOATS = [0.0, 1.0, -1.5, 0.1, 3.3999999521443642e38, 1.1754943508222875e-38, float("inf"), float("-inf"), 16777216.0]
CHARACTERS = ["a", "Z", " ", '"', "\\", "\n", "\x01", "\x7f", "é", "東", "🎸", "\U0010ffff", "\u2028", "<", "/"]


def scalar(field, rng):
    cpp = field.cpp_type
    if cpp == FieldDescriptor.CPPTYPE_ENUM:
        return rng.choice([v.number for v in field.enum_type.values] + [999, -77])
    if cpp == FieldDescriptor.CPPTYPE_BOOL:
        return rng.random() < 0.5
    if cpp == FieldDescriptor.CPPTYPE_FLOAT:
        return rng.choice(FLOATS)
    if cpp == FieldDescriptor.CPPTYPE_DOUBLE:
        return rng.choice(FLOATS + [1e300, -5e-324, rng.uniform(-1e6, 1e6)])
    if cpp == FieldDescriptor.CPPTYPE_STRING:
        length = rng.choice([0, 1, 5, 40])
        if field.type == FieldDescriptor.TYPE_BYTES:
            return bytes(rng.randrange(256) for _ in range(length))
        return "".join(rng.choice(CHARACTERS) for _ in range(length))
    name = {FieldDescriptor.CPPTYPE_INT32: "int32", FieldDescriptor.CPPTYPE_INT64: "int64", FieldDescriptor.CPPTYPE_UINT32: "uint32",
            FieldDescriptor.CPPTYPE_UINT64: "uint64"}[cpp]
    low, high = INTEGERS[name]
    return rng.choice([0, low, high, rng.randint(low, high), rng.randint(0, 100)])


def unknown_fields(rng):
    """Some fields with numbers that no message of ours has, of all wire types that there are, groups left out."""
    data = b""
    for _ in range(rng.randrange(1, 4)):
        number, wire_type = rng.choice([1000, 18999, 20000, 2**29 - 1]), rng.choice([0, 1, 2, 5])
        content = bytes(rng.randrange(256) for _ in range(rng.choice([0, 1, 7, 200])))
        value = {0: varint(rng.choice([0, 1, 2**32, 2**64 - 1])), 1: bytes(8), 2: varint(len(content)) + content, 5: bytes(4)}
        data += varint(number << 3 | wire_type) + value[wire_type]
    return data


def varint(number):
    data = b""
    while number > 127:
        data, number = data + bytes([number & 127 | 128]), number >> 7
    return data + bytes([number])


def add_unknown_fields(message, rng):
    """To the message and to all inside it. An Any's content is bytes to it."""
    for field, value in message.ListFields():
        if not field.message_type:
            continue
        if field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type:
                for key in value:
                    add_unknown_fields(value[key], rng)
        else:
            for inner in value if field.label == FieldDescriptor.LABEL_REPEATED else [value]:
                add_unknown_fields(inner, rng)
    message.MergeFromString(unknown_fields(rng))


def fill(message, rng):
    name = message.DESCRIPTOR.full_name
    if name == "google.protobuf.Timestamp":
        message.seconds = rng.randint(-62135596800, 253402300799)
        message.nanos = rng.choice([0, 1, 1000, 120000000, 999999999])
        return message
    if name == "google.protobuf.Duration":
        sign = rng.choice([1, -1])
        message.seconds = sign * rng.randint(0, 315576000000)
        message.nanos = sign * rng.choice([0, 1, 1000, 120000000, 999999999])
        return message
    if name == "google.protobuf.Any":
        inner = rng.choice(["orderwire.everything.v1.Leaf", "google.protobuf.Timestamp", "google.protobuf.Duration", None])
        if inner:
            message.type_url = "type.googleapis.com/" + inner
            message.value = fill(message_class(inner)(), rng).SerializeToString()
        return message
    for field in message.DESCRIPTOR.fields:
        if rng.random() < 0.3:
            continue
        value = getattr(message, field.name)
        if field.message_type and field.message_type.GetOptions().map_entry:
            entry = field.message_type.fields_by_name
            for _ in range(rng.randrange(4)):
                key = scalar(entry["key"], rng)
                if entry["value"].message_type:
                    fill(value[key], rng)
                else:
                    value[key] = scalar(entry["value"], rng)
        elif field.label == FieldDescriptor.LABEL_REPEATED:
            for _ in range(rng.randrange(4)):
                if field.message_type:
                    fill(value.add(), rng)
                else:
                    value.append(scalar(field, rng))
        elif field.message_type:
            value.SetInParent()
            fill(value, rng)
        else:
            setattr(message, field.name, scalar(field, rng))
    return message


def to_json(message):
    return json_format.MessageToJson(message, indent=None, descriptor_pool=pool)


def check(type_name, data, text):
    ours = message_class(type_name).FromString(bytes.fromhex(data))
    if json.loads(to_json(ours)) != json.loads(text):
        return f"JSON differs: Python {to_json(ours)} ours {text}"
    back = json_format.Parse(text, message_class(type_name)(), descriptor_pool=pool)
    if back != ours:
        return f"bytes and JSON are different messages: {back!r} {ours!r}"
    return "ok"


def names(prefix, messages):
    for message in messages:
        if not message.options.map_entry:
            yield f"{prefix}.{message.name}"
            yield from names(f"{prefix}.{message.name}", message.nested_type)


def answer(line):
    command, type_name, rest = line.rstrip("\n").split("\t", 2)
    if command == "names":
        found = (message for file in files.file if file.package.startswith(type_name) for message in names(file.package, file.message_type))
        return " ".join(found)
    if command in ("random", "newer"):
        rng = random.Random(int(rest))
        message = fill(message_class(type_name)(), rng)
        if command == "newer":
            add_unknown_fields(message, rng)
        return message.SerializeToString().hex() + "\t" + to_json(message)
    if command == "check":
        return check(type_name, *rest.split("\t", 1))
    try:
        return json_format.Parse(rest, message_class(type_name)(), descriptor_pool=pool).SerializeToString(deterministic=True).hex()
    except json_format.ParseError:
        return "error"


for line in sys.stdin:
    print(answer(line), flush=True)
