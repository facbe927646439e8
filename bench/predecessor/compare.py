"""Compares Orderwire with the service that it replaces: see bench/predecessor/run."""
import contextlib
import http.client
import json
import os
import random
import statistics
import subprocess
import sys
import threading
import time
import urllib.parse

from queries import COLLECTION, DATABASE, SORTS, copy_products
from support import free_port, import_generated, middle_and_spread, mongod, running, serving, temporary_folder

LOAD = ".build/release/bench-queries"
SERVICE = "bench/peers/predecessor"
PAGE_SIZE = 10
# What each side is tried with first.
PROCESSES = (1, 2)
AT_ONCE = (1, 2, 4, 8, 16)
IN_FLIGHT = (16, 64, 256)
ORDERS = {sort: order for order, sort in
          {"name": "name", "name desc": "name_desc", "price": "price", "price desc": "price_desc"}.items()}


def request_lists(client):
    """Requests by what they ask for, each as the predecessor's parameters: always the same."""
    dice = random.Random(4)
    groups = client[DATABASE][COLLECTION].aggregate([{"$group": {"_id": "$category", "count": {"$sum": 1}}}, {"$sort": {"_id": 1}}])
    counts = {row["_id"]: row["count"] for row in groups}
    total = sum(counts.values())

    def request(count, category, is_first=False):
        page = 1 if is_first else dice.randint(1, -(-count // PAGE_SIZE))
        return {"page": page, "page_size": PAGE_SIZE, "category": category, "sort": dice.choice(list(SORTS))}

    def of_category():
        category = dice.choices(list(counts), list(counts.values()))[0]
        matching = sum(count for name, count in counts.items() if category.lower() in name.lower())
        return request(matching, category)

    # A few pages are asked for often, most rarely (Zipf), as in any shop.
    distinct = [of_category() if number % 2 else request(total, "") for number in range(200)]
    mix = dice.choices(distinct, [1 / (rank + 1) for rank in range(len(distinct))], k=2000)
    return {
        "first page": [request(total, "", is_first=True) for _ in range(1000)],
        "any page": [request(total, "") for _ in range(1000)],
        "any page of a category": [of_category() for _ in range(1000)],
        "mix of 200 pages": mix,
    }


# MARK: The predecessor

@contextlib.contextmanager
def predecessor(uri, processes):
    port = free_port()
    environment = {**os.environ, "MONGODB": uri}
    with running(os.environ["PREDECESSOR_PYTHON"], "-m", "uvicorn", "app:app", "--app-dir", SERVICE, "--port", str(port),
                 "--workers", str(processes), "--no-access-log", "--log-level", "warning", env=environment):
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
                connection.request("GET", "/health")
                if connection.getresponse().status == 200:
                    break
            if time.monotonic() > deadline:
                sys.exit("the predecessor did not start")
            time.sleep(0.05)
        yield port


def predecessor_rate(port, requests, at_once, seconds):
    """Pages a second with so many requests at once, each followed by the next until the time is over."""
    turns = iter(requests * 1000)
    lock, done, failures = threading.Lock(), [], []
    start = time.monotonic()

    def ask():
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=120)) as connection:
            while time.monotonic() < start + seconds:
                with lock:
                    request = next(turns)
                connection.request("GET", "/products?" + urllib.parse.urlencode(request))
                response = connection.getresponse()
                page = json.loads(response.read())
                if response.status != 200 or not page["items"]:
                    failures.append(f"{request}: {response.status}")
                    return
                done.append(time.monotonic())

    threads = [threading.Thread(target=ask) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        sys.exit(f"the predecessor failed: {failures[0]}")
    # Each began in time and was waited for: what began last counts with the time that it took.
    return len(done) / (max(done) - start)


# MARK: Orderwire

def our_rate(endpoint, requests, in_flight, seconds):
    with temporary_folder() as folder:
        path = f"{folder}/requests.jsonl"
        with open(path, "w") as file:
            for request in requests:
                file.write(json.dumps({"page": request["page"], "pageSize": request["page_size"], "category": request["category"],
                                       "orderBy": ORDERS[request["sort"]]}) + "\n")
        line = subprocess.run([LOAD, "load", endpoint, path, str(in_flight), str(seconds)], stdout=subprocess.PIPE, text=True, check=True,
                              timeout=60 + 3 * seconds).stdout
    return float(dict(word.split("=") for word in line.split())["pages_per_s"])


# MARK: Both

def compare(services, endpoint, name, requests, rounds, seconds):
    """`services` are the predecessor's ports by its number of processes."""
    def their_rate(level, seconds):
        processes, at_once = level
        return predecessor_rate(services[processes], requests, at_once, seconds)

    trial = min(seconds, 3)
    level = max(((processes, at_once) for processes in services for at_once in AT_ONCE if at_once >= processes),
                key=lambda level: their_rate(level, trial))
    in_flight = max(IN_FLIGHT, key=lambda count: our_rate(endpoint, requests, count, trial))
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(our_rate(endpoint, requests, in_flight, seconds))
        theirs.append(their_rate(level, seconds))
    ratio, low, high = middle_and_spread([one / other for one, other in zip(ours, theirs)])
    print(f"requests=\"{name}\" ours={statistics.median(ours):.0f} in_flight={in_flight} predecessor={statistics.median(theirs):.1f}"
          f" processes={level[0]} at_once={level[1]} ratio={ratio:.0f} spread={low:.0f}..{high:.0f}", flush=True)
    return ratio


def main():
    products, rounds, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    with mongod() as (uri, client), serving("--mongodb", uri) as (endpoint, _):
        import_generated(endpoint, products)
        copy_products(client)
        with contextlib.ExitStack() as stack:
            services = {processes: stack.enter_context(predecessor(uri, processes)) for processes in PROCESSES}
            ratios = {name: compare(services, endpoint, name, requests, rounds, seconds)
                      for name, requests in request_lists(client).items()}
    print(f"products={products} lowest_ratio={min(ratios.values()):.0f}")


main()
