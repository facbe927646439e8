"""What MongoDB says of a query: keys and documents examined, and its plan."""
import itertools
import json
import time
from dataclasses import dataclass

from bson import json_util

# What explain takes of a command that the profiler has kept.
COMMAND_FIELDS = ["find", "aggregate", "count", "filter", "query", "pipeline", "sort", "projection", "hint", "skip", "limit",
                  "singleBatch", "min", "max", "cursor"]


@dataclass
class Cost:
    """What a call made the database do in one collection."""
    commands: int
    keys: int
    documents: int
    sorts_in_memory: bool
    # The first of them, as it was sent.
    command: dict


class Profiler:
    """Tells what single calls cost, by the profile of everything that the database did between two marks."""
    NUMBERS = itertools.count(1)

    def __init__(self, database):
        self.database = database

    def __enter__(self):
        self.database.command("profile", 0)
        self.database.drop_collection("system.profile")
        # Room for everything between two marks.
        self.database.create_collection("system.profile", capped=True, size=64 << 20)
        self.database.command("profile", 2)
        return self

    def __exit__(self, *_):
        self.database.command("profile", 0)
        self.database.drop_collection("system.profile")
        self.database.drop_collection("bench_marks")

    def cost(self, collection, call):
        """What `call` costs in the collection, and what it returns."""
        number = next(self.NUMBERS)
        self.database.bench_marks.find_one({"number": number})
        result = call()
        return self.since(number, collection), result

    def since(self, number, collection):
        rows = []
        for row in self.database["system.profile"].find(sort=[("$natural", -1)]):
            if row["ns"].endswith(".bench_marks") and row["command"].get("filter", {}).get("number") == number:
                break
            if row["ns"] == f"{self.database.name}.{collection}" and row["op"] in ("query", "command", "getmore"):
                rows.insert(0, row)
        return Cost(
            commands=len(rows), keys=sum(row.get("keysExamined", 0) for row in rows),
            documents=sum(row.get("docsExamined", 0) for row in rows),
            sorts_in_memory=any(row.get("hasSortStage", False) for row in rows),
            command={name: rows[0]["command"][name] for name in COMMAND_FIELDS if name in rows[0]["command"]} if rows else {})


def explain(database, command, path):
    """Keeps the plan and the statistics of a command's execution."""
    plan = database.command("explain", command, verbosity="executionStats")
    for field in ("serverInfo", "serverParameters", "$clusterTime", "operationTime", "ok"):
        plan.pop(field, None)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(json.loads(json_util.dumps(plan)), indent=1) + "\n")


def milliseconds(call, count, seconds):
    """What each call took: `count` of them, or as many as fit the time, at least one."""
    times, end = [], time.monotonic() + seconds
    while len(times) < count and (not times or time.monotonic() < end):
        begin = time.perf_counter()
        call()
        times.append((time.perf_counter() - begin) * 1000)
    return times
