"""Tables, plots and the judgement of bench/queries."""
import contextlib
import statistics
import subprocess
from dataclasses import dataclass, field

import shapes
from database import Cost
from support import percentile

COLUMNS = ["size", "shape", "kind", "page", "matching", "ranges", "rows", "commands", "keys", "documents", "sorts_in_memory",
           "p50_ms", "p50_low", "p50_high", "p99_ms", "database_p50_ms",
           "before_keys", "before_documents", "before_p50_ms", "before_p50_low", "before_p50_high"]


class Failed(Exception):
    """A call that the server refused, or did not answer."""


@dataclass
class Figures:
    """What is known of a shape at a size."""
    size: int
    shape: shapes.Shape
    rows: int = 0
    cost: Cost = None
    before_cost: Cost = None
    # Milliseconds of each call, as its caller sees them, by rounds.
    rounds: list = field(default_factory=list)
    # Of all rounds: what of it the server waited for the database.
    database: list = field(default_factory=list)
    before_rounds: list = field(default_factory=list)
    # Why there are no figures.
    failure: str = ""

    @contextlib.contextmanager
    def trying(self):
        """Keeps the reason of the first call that fails."""
        try:
            yield
        except Failed as failure:
            self.failure = self.failure or str(failure)

    @property
    def is_too_slow(self):
        return "DATABASE_UNAVAILABLE" in self.failure or "DEADLINE_EXCEEDED" in self.failure

    @property
    def p50(self):
        return median_of_medians(self.rounds)

    @property
    def p99(self):
        return percentile([time for times in self.rounds for time in times], 0.99) if self.rounds else None

    @property
    def database_p50(self):
        return statistics.median(self.database) if self.database else None

    @property
    def before_p50(self):
        return median_of_medians(self.before_rounds)

    @property
    def violations(self):
        """What it examines beyond what it may."""
        found = []
        if self.cost.sorts_in_memory:
            found.append("sorts in memory")
        if self.cost.documents > self.rows:
            found.append(f"{self.cost.documents} documents for {self.rows} products")
        allowed = self.rows + 2 * self.shape.filter.ranges
        if self.shape.has_bounded_keys and self.cost.keys > allowed:
            found.append(f"{self.cost.keys} keys, {allowed} allowed")
        return found

    def row(self):
        def spread(rounds):
            medians = [statistics.median(times) for times in rounds]
            return [min(medians), max(medians)] if rounds else [None, None]

        cost, before, filter = self.cost, self.before_cost, self.shape.filter
        values = [self.size, self.shape.label, self.shape.kind, self.shape.page, filter.count, filter.ranges, self.rows,
                  *([cost.commands, cost.keys, cost.documents, int(cost.sorts_in_memory)] if cost else [None] * 4),
                  self.p50, *spread(self.rounds), self.p99, self.database_p50,
                  *([before.keys, before.documents] if before else [None] * 2), self.before_p50, *spread(self.before_rounds)]
        return ["" if value is None else f"{value:.3f}" if isinstance(value, float) else value for value in values]


def median_of_medians(rounds):
    return statistics.median(statistics.median(times) for times in rounds) if rounds else None


class Report:
    """What came of a run."""

    def __init__(self, folder, shops, categories, deep):
        self.folder = folder
        self.shops = shops
        self.categories = categories
        self.deep = deep
        self.sizes = [shop.size for shop in shops]
        self.labels = [shape.label for shape in shops[0].shapes]

    def figures(self, label):
        """The shape's figures at each size."""
        return [shop.figures[label] for shop in self.shops]

    def write(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.write_table("shapes.tsv", COLUMNS, [figures.row() for shop in self.shops for figures in shop.figures.values()])
        self.print_table()
        self.write_summary()
        self.plot_sizes()
        self.plot_depths()

    def write_table(self, name, columns, rows):
        lines = ["\t".join(str(value) for value in row) for row in [columns, *rows]]
        (self.folder / name).write_text("\n".join(lines) + "\n")

    def print_table(self):
        """A line a shape, with its figures at each size side by side."""
        largest = self.shops[-1]
        for label, text in {"all": "", **self.categories}.items():
            filter = next(shape.filter for shape in largest.shapes if shape.filter.label == label)
            print(f"{label}: {f'those with {text!r}' if text else 'no filter'}, {filter.ranges if text else 0} categories,"
                  f" {filter.count} of {largest.size} products")
        sizes = " / ".join(f"{size:,}" for size in self.sizes)
        print(f"\nPages of {shapes.PAGE_SIZE}, at {sizes} products. Before: the predecessor's pipeline.")
        width = max(len(label) for label in self.labels)
        columns = ["keys", "documents", "p50 ms", "p99 ms", "database p50 ms", "before: documents", "before: p50 ms"]
        rows = [[label, *self.cells(self.figures(label))] for label in self.labels]
        widths = [max(len(text) for text in column) for column in zip(["shape", *columns], *rows)]
        for row in [["shape", *columns], *rows]:
            print("  ".join(text.ljust(width) if index == 0 else text.rjust(width) for index, (text, width) in enumerate(zip(row, widths))))

    @staticmethod
    def cells(figures):
        def joined(values, form):
            return " / ".join("-" if value is None else form.format(value) for value in values) if any(
                value is not None for value in values) else ""

        def of(cost, name):
            return cost and getattr(cost, name)

        return [joined([of(each.cost, "keys") for each in figures], "{}"), joined([of(each.cost, "documents") for each in figures], "{}"),
                joined([each.p50 for each in figures], "{:.2f}"), joined([each.p99 for each in figures], "{:.2f}"),
                joined([each.database_p50 for each in figures], "{:.2f}"),
                joined([of(each.before_cost, "documents") for each in figures], "{}"), joined([each.before_p50 for each in figures], "{:.1f}")]

    def write_summary(self):
        """The most telling shapes, as a table for a document."""
        places = ["first page", f"token at {shapes.DEEP:.0%} depth", f"old token at {shapes.DEEP:.0%} depth", "middle by number", "middle by number, again"]
        labels = [f"{filter} · {order} · {place}" for filter in ("all", "all in stock", *self.categories) for order in ("name", "price desc")
                  for place in places]
        sizes = " / ".join(f"{size:,}" for size in self.sizes)
        lines = [f"Figures at {sizes} products.", "", "| shape | keys | documents | p50 ms | p99 ms | of it database | documents before | p50 ms before |",
                 "|---|---|---|---|---|---|---|---|"]
        lines += ["| " + " | ".join([label, *self.cells(self.figures(label))]) + " |" for label in labels]
        (self.folder / "summary.md").write_text("\n".join(lines) + "\n")

    # MARK: Plots

    def plot_sizes(self):
        """Time and documents examined by size of the catalogue."""
        if len(self.sizes) < 2:
            return
        lines = [("all · name · first page", "first page"), (f"all · name · token at {shapes.DEEP:.0%} depth", f"token at {shapes.DEEP:.0%} depth"),
                 ("all · name · middle by number", "middle by number"), ("many categories · price desc · first page", "many categories, by price")]
        before = [("all · name · first page", "before: any page"), ("one category · name · first page", "before: one category")]
        rows = [[size, *(self.figures(label)[index].p50 for label, _ in lines), *(self.figures(label)[index].before_p50 for label, _ in before),
                 self.figures(lines[1][0])[index].cost.documents, self.figures(before[0][0])[index].before_cost.documents]
                for index, size in enumerate(self.sizes)]
        self.write_table("sizes.tsv", ["size", *(title for _, title in lines + before), "documents", "before: documents"], rows)
        colours = ["#1a7f37", "#0969da", "#8250df", "#bf8700", "#cf222e", "#fa7970"]
        curves = ", ".join(
            f"'{self.folder}/sizes.tsv' using 1:{index + 2} with linespoints lw 2 pt 7 lc rgb '{colours[index]}' title '{title}'"
            for index, (_, title) in enumerate(lines + before))
        count = len(lines + before)
        self.gnuplot("sizes.svg", f"""
            set multiplot layout 2,1 margins 0.10,0.68,0.07,0.93 spacing 0.14
            set logscale xy
            set xrange [{self.sizes[0] * 0.8}:{self.sizes[-1] * 1.25}]
            set xtics ({", ".join(f"'{size:,}' {size}" for size in self.sizes)})
            set key outside right center
            set title 'A page of {shapes.PAGE_SIZE}: p50 in ms by products in the catalogue'
            plot {curves}
            set title 'Documents examined for it'
            set yrange [1:*]
            plot '{self.folder}/sizes.tsv' using 1:{count + 2} with linespoints lw 2 pt 7 lc rgb '#0969da' title 'token at {shapes.DEEP:.0%} depth', \\
                 '' using 1:{count + 3} with linespoints lw 2 pt 7 lc rgb '#cf222e' title 'before: any page'
        """)

    def plot_depths(self):
        """Time by depth of the page, in the largest catalogue."""
        shop = self.shops[-1]
        pages = sorted({shape.page for shape in self.deep})
        kinds = [(shapes.TOKEN, "by token", "#1a7f37"), (shapes.FRESH, "by number, after a change", "#8250df"),
                 (shapes.AGAIN, "by number, asked before", "#0969da")]
        by_page = {(shape.page, shape.kind): shop.figures[shape.label] for shape in self.deep}
        before = shop.figures[f"all · name · first page"].before_p50
        rows = [[(page - 1) * shapes.PAGE_SIZE or 1, *(by_page[page, kind].p50 for kind, _, _ in kinds), before] for page in pages]
        self.write_table("depths.tsv", ["products_before", *(title for _, title, _ in kinds), "before"], rows)
        curves = ", ".join(
            f"'{self.folder}/depths.tsv' using 1:{index + 2} with linespoints lw 2 pt 7 lc rgb '{colour}' title '{title}'"
            for index, (_, title, colour) in enumerate(kinds))
        self.gnuplot("depths.svg", f"""
            set logscale xy
            set key below
            set format x '10^{{%T}}'
            set xlabel 'products before the page'
            set title 'A page of {shapes.PAGE_SIZE} of {shop.size:,} products: p50 in ms by depth'
            plot {curves}, \\
                 '{self.folder}/depths.tsv' using 1:{len(kinds) + 2} with lines lw 2 dt 2 lc rgb '#cf222e' title 'before'
        """)

    def gnuplot(self, name, script):
        heading = f"set terminal svg size 860,560 font 'sans-serif,13' background '#ffffff'\nset output '{self.folder}/{name}'\n" \
                  "set datafile separator '\\t'\nset grid lc rgb '#dddddd'\nset format y '%.10g'\n"
        subprocess.run(["gnuplot"], input=heading + script, text=True, check=True)

    # MARK: Judgement

    def conclude(self):
        """Prints whether the floors hold, the ratios last. Returns 1 where more is examined than may be, or a
        call was refused: no noise explains that."""
        everything = [figures for shop in self.shops for figures in shop.figures.values()]
        violations = [(figures, what) for figures in everything if not figures.failure for what in figures.violations]
        # What takes too long depends on the machine; what is refused does not.
        failures = [(figures, figures.failure) for figures in everything if figures.failure and not figures.is_too_slow]
        slow = [(figures, "no answer in time") for figures in everything if figures.is_too_slow]
        print()
        for kind, found in (("examines too much", violations), ("failed", failures), ("too slow", slow)):
            for figures, what in found:
                print(f"{kind}: {figures.size:,} · {figures.shape.label}: {what}")
        largest, label = self.shops[-1], "all · name"
        first, deep = largest.figures[f"{label} · first page"], largest.figures[f"{label} · token at {shapes.DEEP:.0%} depth"]
        old = largest.figures[f"{label} · old token at {shapes.DEEP:.0%} depth"]
        smallest = self.shops[0].figures[f"{label} · first page"]
        parts = [ratio("token_over_first", deep, first), ratio("old_token_over_first", old, first), ratio(f"first_{largest.size}_over_{self.shops[0].size}", first, smallest)]
        category = largest.figures["one category · name · middle by number"]
        parts += [f"middle_of_{category.shape.filter.count}_ms={category.p50:.2f}",
                  f"middle_of_{largest.size}_ms={largest.figures[f'{label} · middle by number'].p50:.2f}",
                  f"before_over_ours={largest.figures[f'{label} · first page'].before_p50 / first.p50:.0f}",
                  f"measured={len(everything)} examine_too_much={len(violations)} failed={len(failures)} too_slow={len(slow)}"]
        print(" ".join(parts))
        return 1 if violations or failures else 0


def ratio(name, above, below):
    """Of the medians of each round, with their spread."""
    ratios = [statistics.median(one) / statistics.median(other) for one, other in zip(above.rounds, below.rounds)]
    return f"{name}={statistics.median(ratios):.2f} spread={min(ratios):.2f}..{max(ratios):.2f}"
