"""Runs every query shape of ListProducts at several sizes of the catalogue: see bench/queries/run."""
import contextlib
import json
import os
import pathlib
import random
import subprocess
import sys

import database as mongo
import report
import shapes
from queries import COLLECTION, DATABASE, copy_products, page_pipeline
from report import Failed, Figures
from support import import_generated, import_rows, mongod, running, serving

DRIVER = ".build/release/bench-queries"
RESULTS = pathlib.Path(".build/bench/queries")
SHOP = "orderwire"
# Of each shape and round: as many calls as fit the time, at most so many.
CALLS, CALL_MILLISECONDS = 100, 100
FRESH_CALLS = 5
WALK_PAGE_SIZE = 1000
# A category that no other has in its name, with a twentieth of all products.
CATEGORY = "Zymurgy"
PREDECESSOR_CALLS, PREDECESSOR_SECONDS = 10, 0.3


class Driver:
    """The Swift client that makes the calls."""

    def __init__(self, process):
        self.process = process
        self.changes = 0

    def ask(self, method, request, count=1, milliseconds=0):
        self.process.stdin.write(f"{method}\t{count}\t{milliseconds}\t{json.dumps(request)}\n".encode())
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        answer = json.loads(line) if line else {"error": "the driver has ended"}
        if "error" in answer:
            raise Failed(f"{method} {json.dumps(request)[:200]}: {answer['error']}")
        return answer

    def change(self):
        """Changes the price of a product."""
        self.changes += 1
        price = {"currencyCode": "USD", "units": "1", "nanos": self.changes % 90 * 10_000_000}
        product = {"id": "bench-changing", "name": "Changing", "category": "Benchmarks", "price": price, "stock": "1"}
        self.ask("ImportProducts", {"products": [product]})


class Shop:
    """A server with so many products, its MongoDB, and the predecessor's copy of the products."""

    def __init__(self, size, client, driver):
        self.size = size
        self.client = client
        self.database = client[SHOP]
        self.driver = driver
        self.shapes = []
        # By the shape's label: the request that asks for its page, and what is known of it.
        self.requests = {}
        self.figures = {}

    def prepare(self, listed):
        """Finds the request of each shape."""
        self.shapes += listed
        for shape in listed:
            figures = self.figures[shape.label] = Figures(self.size, shape)
            request = self.requests[shape.label] = shape.request
            if shape.kind in (shapes.TOKEN, shapes.OLD_TOKEN):
                with figures.trying():
                    self.take_token(shape)
            elif shape.page > 1:
                request["page"] = shape.page
        self.driver.change()

    def take_token(self, shape):
        """Lets the shape's request go on after the page before."""
        try:
            page = self.driver.ask("ListProducts", {**shape.request, "page": shape.page})["response"]
        except Failed:
            page = self.walk(shape)
        self.requests[shape.label]["pageToken"] = page.get("nextPageToken", "")

    def walk(self, shape):
        """The last page of a walk to the shape's place, in large steps: where it cannot be reached by its number in time."""
        page, left = {}, shape.page * shapes.PAGE_SIZE
        while left > 0:
            step = {**shape.request, "pageSize": min(left, WALK_PAGE_SIZE), "pageToken": page.get("nextPageToken", "")}
            page = self.driver.ask("ListProducts", step)["response"]
            left -= WALK_PAGE_SIZE
        return page

    def make_ready(self, shape):
        """Brings the server into the state in which the shape is asked for."""
        if shape.kind == shapes.FRESH:
            self.driver.change()
        elif shape.kind == shapes.TOKEN:
            self.take_token(shape)
        else:
            self.ask_once(shape)

    def ask_once(self, shape):
        return self.driver.ask(shape.method, self.requests[shape.label])["response"]

    def examine(self):
        """What each shape examines."""
        with mongo.Profiler(self.database) as profiler:
            for shape in self.shapes:
                figures = self.figures[shape.label]
                with figures.trying():
                    self.make_ready(shape)
                    figures.cost, response = profiler.cost("products", lambda: self.ask_once(shape))
                    figures.rows = len(response.get("products", []))

    def examine_predecessor(self):
        with mongo.Profiler(self.client[DATABASE]) as profiler:
            for shape in self.shapes:
                if shape.has_predecessor:
                    self.figures[shape.label].before_cost, _ = profiler.cost(COLLECTION, lambda: self.ask_predecessor(shape))

    def explain(self):
        """Keeps the plan of each query, as it was sent."""
        for shape in self.shapes:
            figures = self.figures[shape.label]
            folder = RESULTS / "explain" / str(self.size)
            if figures.cost and figures.cost.command:
                mongo.explain(self.database, figures.cost.command, folder / f"{shape.slug}.json")
            if figures.before_cost:
                command = {"aggregate": COLLECTION, "pipeline": page_pipeline(**shape.predecessor_arguments), "cursor": {}}
                mongo.explain(self.client[DATABASE], command, folder / f"{shape.slug}.before.json")

    def ask_predecessor(self, shape):
        return self.client[DATABASE][COLLECTION].aggregate(page_pipeline(**shape.predecessor_arguments)).to_list()

    def time(self, shape):
        """One round of a shape."""
        figures = self.figures[shape.label]
        with figures.trying():
            calls = FRESH_CALLS if shape.kind == shapes.FRESH else 1
            answers = [self.time_ready(shape) for _ in range(calls)]
            figures.rounds.append([time / 1000 for answer in answers for time in answer["round_trip_us"]])
            figures.database += [time / 1000 for answer in answers for time in answer["database_us"]]

    def time_ready(self, shape):
        """Calls as often as the shape's state lasts: what is fresh is so only once."""
        self.make_ready(shape)
        count = 1 if shape.kind == shapes.FRESH else CALLS
        return self.driver.ask(shape.method, self.requests[shape.label], count, CALL_MILLISECONDS)

    def time_predecessor(self, shape):
        self.figures[shape.label].before_rounds.append(
            mongo.milliseconds(lambda: self.ask_predecessor(shape), PREDECESSOR_CALLS, PREDECESSOR_SECONDS))


@contextlib.contextmanager
def shop(size):
    """A shop of generated products."""
    # All that is asked for stays in memory: what is measured is work, not the disk.
    with mongod(cache_gigabytes=4 if size > 200_000 else 1) as (uri, client), serving("--mongodb", uri) as (endpoint, _):
        import_generated(endpoint, size - size // 20)
        import_rows(endpoint, rows_of_category(size // 20))
        with running(DRIVER, "each", endpoint, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            driver = Driver(process)
            driver.change()
            copy_products(client)
            yield Shop(size, client, driver)


def rows_of_category(count):
    # The same in every run.
    dice = random.Random(4)
    for number in range(count):
        yield {"id": f"zymurgy-{number}", "name": f"{dice.choice(('Ale', 'Bock', 'Cider', 'Dunkel', 'Export'))} {dice.randrange(10**6)}",
               "category": CATEGORY, "price": {"currencyCode": "USD", "units": str(dice.randrange(100)), "nanos": 990_000_000},
               "stock": str(dice.choice((0, 1, 10, 100)))}


def progress(text):
    if sys.stderr.isatty():
        print(text, file=sys.stderr, flush=True)


def main():
    sizes = sorted(int(size) for size in os.environ.get("SIZES", "1000 100000 1000000").split())
    rounds = int(os.environ.get("ROUNDS", "3"))
    with contextlib.ExitStack() as stack:
        shops = []
        for size in sizes:
            progress(f"importing {size} products")
            shops.append(stack.enter_context(shop(size)))
        largest = shops[-1]
        categories = shapes.choose_categories(largest.database)
        for shop_ in shops:
            shop_.prepare(shapes.shapes(shop_.database, categories))
        deep = shapes.depths(largest.shapes[0].filter)
        largest.prepare(deep)
        for shop_ in shops:
            progress(f"profiling {shop_.size} products")
            shop_.examine()
            shop_.examine_predecessor()
            shop_.explain()
        for round_ in range(rounds):
            progress(f"round {round_ + 1} of {rounds}")
            measure_round(shops)
        results = report.Report(RESULTS, shops, categories, deep)
        results.write()
        sys.exit(results.conclude())


def measure_round(shops):
    """Each shape at each size, in turn: what disturbs the machine disturbs all of them."""
    for index in range(max(len(shop.shapes) for shop in shops)):
        for shop in shops:
            if index < len(shop.shapes):
                shape = shop.shapes[index]
                shop.time(shape)
                if shape.has_predecessor:
                    shop.time_predecessor(shape)


if __name__ == "__main__":
    main()
