"""What benchmarks share: processes that end with them, a mongod, a server with products, medians and percentiles."""
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

PROGRAM = ".build/release/orderwire"

# A benchmark that is stopped ends what it has started.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def free_port():
    # Below 32768, where the system takes the ports of outgoing connections from.
    for _ in range(100):
        port = random.randint(20000, 29999)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    sys.exit("no free port")


def free_endpoint():
    return f"tcp://127.0.0.1:{free_port()}"


@contextlib.contextmanager
def stopped_afterwards(process):
    try:
        yield process
    finally:
        if process.stdin:
            process.stdin.close()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def running(*arguments, **options):
    """A process that is stopped afterwards."""
    return stopped_afterwards(subprocess.Popen(arguments, **options))


@contextlib.contextmanager
def temporary_folder():
    folder = tempfile.mkdtemp(prefix="orderwire-bench.")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def mongod(cache_gigabytes=1):
    """A new replica set of one: its connection string, and a client of it. The environment's MONGOD is the program."""
    import pymongo

    port = free_port()
    with temporary_folder() as folder:
        with running(os.environ["MONGOD"], "--dbpath", folder, "--replSet", "bench", "--port", str(port), "--bind_ip", "127.0.0.1",
                     "--nounixsocket", "--wiredTigerCacheSizeGB", str(cache_gigabytes), "--networkMessageCompressors", "disabled",
                     "--setParameter", "diagnosticDataCollectionEnabled=false", "--quiet", stdout=subprocess.DEVNULL):
            client = pymongo.MongoClient("127.0.0.1", port, directConnection=True)
            client.admin.command("replSetInitiate", {"_id": "bench", "members": [{"_id": 0, "host": f"127.0.0.1:{port}"}]})
            while not client.admin.command("hello")["isWritablePrimary"]:
                time.sleep(0.01)
            yield f"mongodb://127.0.0.1:{port}/?replicaSet=bench", client
            client.close()


@contextlib.contextmanager
def serving(*database, program=PROGRAM):
    """`orderwire serve` on that database, as soon as it serves: its endpoint and its process."""
    endpoint = free_endpoint()
    with running(program, "serve", "--listen", endpoint, "--events", "tcp://127.0.0.1:0", "--log-level", "error", *database,
                 stdout=subprocess.PIPE) as server:
        if not server.stdout.readline().startswith(b"ready"):
            sys.exit("the server did not start")
        yield endpoint, server


def import_rows(endpoint, rows, program=PROGRAM):
    """Imports products, each a dictionary in the form of ProtoJSON."""
    with temporary_folder() as folder:
        path = f"{folder}/products.jsonl"
        with open(path, "w") as file:
            for row in rows:
                file.write(json.dumps(row) + "\n")
        subprocess.run([program, "products", "import", path, "--server", endpoint], check=True, capture_output=True)


def import_generated(endpoint, count, program=PROGRAM):
    """Imports products as `orderwire products generate` makes them, the same each time."""
    with running(program, "products", "generate", "--count", str(count), "--seed", "4", stdout=subprocess.PIPE) as generator:
        subprocess.run([program, "products", "import", "-", "--server", endpoint], stdin=generator.stdout, check=True, capture_output=True)


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def middle_and_spread(values):
    """The median, and the lowest and highest."""
    return statistics.median(values), min(values), max(values)
