"""The figures of bench/orders/run, which says what they are."""
import contextlib
import datetime
import json
import os
import random
import statistics
import subprocess
import sys
import threading
import time

import pymongo

from support import PROGRAM, free_endpoint, import_rows, middle_and_spread, running, temporary_folder

BENCH, PEER = ".build/release/bench-orders", "bench/peers/orders/build/orders"
FIGURES = os.environ.get("FIGURES", "alone accepted settled notified memory backlog servers").split()
PROGRAM = os.environ.get("PROGRAM", PROGRAM)
THREADS = 16
# Orders are to wait as long as a figure lasts.
MAX_BACKLOG = "1h"


def setting(name, otherwise):
    return int(os.environ.get(name, otherwise))


PRODUCTS, ROUNDS = setting("PRODUCTS", 10_000), setting("ROUNDS", 3)
SECONDS, SECONDS_SUSTAINED = setting("SECONDS_A_LOAD", 5), setting("SECONDS_SUSTAINED", 60)
ON_THEIR_WAY = setting("ON_THEIR_WAY", 2048)
MEMORY_ORDERS, BACKLOG = setting("MEMORY_ORDERS", 1_000_000), setting("BACKLOG", 200_000)


def rows():
    # The same in every run.
    chance = random.Random(1)
    words = ["Amber", "Blue", "Cedar", "Dawn", "Élan", "Fjord", "Granite", "Harbour", "Iris", "Juniper", "Kestrel", "Lumen"]
    for number in range(PRODUCTS):
        yield {"id": f"product-{number}", "name": f"{' '.join(chance.sample(words, 3))} {number}", "category": f"Category {number % 50}",
               "price": {"currencyCode": "EUR", "units": str(1 + number % 90), "nanos": 990_000_000}, "stock": "1000000000"}


def cpu_us(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") * 1e6


class Server:
    """`orderwire serve` on a mongod of its own, with products."""

    def __init__(self, endpoint, process, mongod):
        self.endpoint, self.pids = endpoint, {"server_us": process.pid, "mongod_us": int(mongod["process.pid"])}
        self.uri = f"mongodb://127.0.0.1:{mongod['server.port']}/?replicaSet=orderwire"
        self.database = pymongo.MongoClient("127.0.0.1", int(mongod["server.port"]), directConnection=True).orderwire

    def measured(self, *command, timeout=None):
        """The figures that a program prints, with the processor time an order of other processes."""
        before = {name: cpu_us(pid) for name, pid in self.pids.items()}
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=timeout or 120 + SECONDS_SUSTAINED)
        if done.returncode:
            sys.exit(f"{' '.join(map(str, command))}: {done.stderr}")
        figures = {key: float(value) for key, value in (word.split("=") for word in done.stdout.split())}
        return figures | {name: (cpu_us(pid) - before[name]) / figures["calls"] for name, pid in self.pids.items()}

    def peer(self, mode, threads=THREADS, seconds=SECONDS):
        return self.measured(PEER, self.uri, "orderwire", mode, threads, seconds, PRODUCTS)

    def load(self, kind, *arguments, endpoint=None):
        return self.measured(BENCH, kind, endpoint or self.endpoint, PRODUCTS, *arguments)

    def let_wait(self, endpoint=None):
        """How many orders may wait follows from how many are settled a second, which a server has to have seen."""
        self.load("settle", ON_THEIR_WAY, 2, "all", endpoint=endpoint)

    def stop_settling(self):
        """Takes the settler's lease, as another server would, and keeps it."""
        self.wait(lambda: self.database.leases.find_one({"epoch": {"$gt": 0}}))
        for _ in range(100):
            with contextlib.suppress(pymongo.errors.OperationFailure):  # a conflict with the settler's transaction
                self.database.leases.update_one({}, [{"$set": {
                    "epoch": {"$add": ["$epoch", 1]}, "holder": "benchmark", "expires": {"$add": ["$$NOW", 3_600_000]}}}])
                self.lease_ends = threading.Event()
                self.keeper = threading.Thread(target=self.keep_lease, args=(self.lease_ends,), daemon=True)
                self.keeper.start()
                # By then the settler has noticed.
                return time.sleep(1.2)
        sys.exit("the lease cannot be taken")

    def keep_lease(self, end):
        """A lease that is not renewed for 3 s is taken for nobody's, whatever its document says."""
        while not end.wait(1):
            with contextlib.suppress(pymongo.errors.PyMongoError):  # the server may have gone
                self.database.leases.update_one({"holder": "benchmark"}, [{"$set": {"expires": {"$add": ["$$NOW", 3_600_000]}}}])

    def settle_again(self):
        self.lease_ends.set()
        self.keeper.join()
        self.database.leases.update_one({}, {"$set": {"expires": datetime.datetime(1970, 1, 1)}})

    def settled(self):
        return self.database.leases.find_one()["sequence"]

    def wait(self, condition, seconds=120):
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                sys.exit("what a benchmark waited for did not happen")
            time.sleep(0.002)

    def resident_mib(self):
        with open(f"/proc/{self.pids['server_us']}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1024


def serve(folder, name, *options):
    endpoint = free_endpoint()
    log = open(f"{folder}/{name}.log", "w+")
    return endpoint, log, running(
        PROGRAM, "serve", "--listen", endpoint, "--events", "tcp://127.0.0.1:0", "--log-level", "info", *options,
        *os.environ.get("SERVE_OPTIONS", "").split(), stdout=subprocess.PIPE, stderr=log)


def wait_until_ready(process):
    if not process.stdout.readline().startswith(b"ready"):
        sys.exit("the server did not start")


@contextlib.contextmanager
def server():
    with temporary_folder() as folder:
        endpoint, log, process = serve(
            folder, "first", "--mongodb", "embedded", "--data", f"{folder}/data", "--max-backlog", MAX_BACKLOG)
        with log, process as process:
            wait_until_ready(process)
            log.seek(0)
            mongod = next(json.loads(line) for line in log if "MongoDB runs" in line)
            import_rows(endpoint, rows(), PROGRAM)
            server = Server(endpoint, process, mongod)
            server.folder = folder
            yield server
            server.database.client.close()


def median(results, key):
    return statistics.median(result[key] for result in results)


OTHERS = ("client_us", "server_us", "second_us", "mongod_us")


def line(name, results, ratios=None):
    values = {key: median(results, key) for key in results[0] if key not in ("calls", "conflicts")}
    values["client_us"] = values.pop("cpu_us")
    if ratios:
        middle, low, high = middle_and_spread(ratios)
        name += f" ratio={middle:.2f} spread={low:.2f}..{high:.2f}"
    print(name, " ".join(f"{key}={value:.{1 if key in OTHERS else 0}f}" for key, value in values.items()),
          flush=True)


def rounds(measure):
    """The results of all rounds by name, each on a new server."""
    results = {}
    for _ in range(ROUNDS):
        with server() as one:
            for name, result in measure(one):
                results.setdefault(name, []).append(result)
    return results


def ratios(results, ours, theirs, key="orders_per_s"):
    return [our[key] / their[key] for our, their in zip(results[ours], results[theirs])]


def alone():
    def measure(server):
        server.stop_settling()
        yield "insert", server.peer("accept", 1)
        yield "call", server.load("accept", 1, SECONDS)

    results = rounds(measure)
    line("alone c-loop threads=1", results["insert"])
    line("alone in_flight=1", results["call"], ratios(results, "call", "insert", "p50_us"))


def accepted():
    def measure(server):
        server.let_wait()
        server.stop_settling()
        yield "insert", server.peer("accept")
        for in_flight in (256, 1024):
            yield in_flight, server.load("accept", in_flight, SECONDS)
        server.settle_again()
        yield "settling", server.load("accept", 1024, SECONDS)

    results = rounds(measure)
    line(f"accepted c-loop threads={THREADS}", results["insert"])
    for in_flight in (256, 1024):
        line(f"accepted in_flight={in_flight}", results[in_flight], ratios(results, in_flight, "insert"))
    line("accepted in_flight=1024 settling=yes", results["settling"], ratios(results, "settling", "insert"))


def settled():
    def measure(server):
        for want, mode in (("all", "settle"), ("one", "settle-one")):
            yield mode, server.peer(mode)
            yield want, server.load("settle", ON_THEIR_WAY, SECONDS_SUSTAINED, want)

    results = rounds(measure)
    for want, mode in (("all", "settle"), ("one", "settle-one")):
        line(f"settled want={want} c-loop threads={THREADS}", results[mode])
        line(f"settled want={want} on_their_way={ON_THEIR_WAY}", results[want], ratios(results, want, mode))


def notified():
    def measure(server):
        capacity = server.load("settle", ON_THEIR_WAY, SECONDS, "all")["orders_per_s"]
        yield "half", server.load("notify", capacity / 2, SECONDS)

    line("notified", rounds(measure)["half"])


def memory():
    with server() as one:
        print(f"memory orders=0 resident_mib={one.resident_mib():.0f}", flush=True)
        orders = 0
        while orders < MEMORY_ORDERS:
            orders += int(one.load("settle", ON_THEIR_WAY, max(1, SECONDS_SUSTAINED // 6), "all")["calls"])
            print(f"memory orders={orders} resident_mib={one.resident_mib():.0f}", flush=True)


def backlog():
    few = min(40_000, BACKLOG)

    def settling_rate(server):
        """While the first three quarters of `few` leave the queue."""
        start, first = server.settled(), None
        server.settle_again()
        server.wait(lambda: server.settled() > start)
        first, began = server.settled(), time.monotonic()
        server.wait(lambda: server.settled() >= start + few * 3 // 4)
        return (server.settled() - first) / (time.monotonic() - began)

    def measure(server):
        server.let_wait()
        server.stop_settling()
        short = server.load("fill", few)["orders_per_s"]
        short_settling = settling_rate(server)
        server.wait(lambda: not server.database.orders.find_one({"queued": True}))
        server.stop_settling()
        server.load("fill", BACKLOG)
        long = server.load("fill", few)["orders_per_s"]
        yield "backlog", {"accepting": long / short, "settling": settling_rate(server) / short_settling}

    results = rounds(measure)["backlog"]
    for what in ("accepting", "settling"):
        middle, low, high = middle_and_spread([result[what] for result in results])
        print(f"backlog waiting={BACKLOG} {what} ratio={middle:.2f} spread={low:.2f}..{high:.2f}", flush=True)


def servers():
    def measure(server):
        endpoint, log, process = serve(server.folder, "second", "--mongodb", server.uri, "--max-backlog", MAX_BACKLOG)
        with log, process as process:
            wait_until_ready(process)
            for each in (server.endpoint, endpoint):
                server.let_wait(each)
            server.stop_settling()
            server.pids["second_us"] = process.pid
            endpoints = {1: server.endpoint, 2: f"{server.endpoint},{endpoint}"}
            # An order costs mongod the more, the more of them wait: one server and two meet the same on average.
            for counts in ((1, 2), (2, 1)):
                for count in counts:
                    yield count, server.load("accept", 1024, SECONDS / 2, endpoint=endpoints[count])

    results = rounds(measure)
    line("servers count=1", results[1])
    line("servers count=2", results[2], ratios(results, 2, 1))


for figure in FIGURES:
    {"alone": alone, "accepted": accepted, "settled": settled, "notified": notified, "memory": memory, "backlog": backlog,
     "servers": servers}[figure]()
