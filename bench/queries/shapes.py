"""The query shapes of ListProducts, and which of them the predecessor had."""
import re
from dataclasses import dataclass, field

PAGE_SIZE = 10
DEEP = 0.9
SORTS = {"name": "name", "name desc": "name_desc", "price": "price", "price desc": "price_desc"}

# How a page is asked for. FRESH: by number, after a product has changed, which all that the server remembers has to follow; a page that
# lies far from all earlier ones has its whole way to go besides. AGAIN: the same page by number once more. TOKEN: by a token that was made since the last change; OLD_TOKEN: by one that was
# made before. COUNTED: the first page, and how many products match. IDS: products by their ids.
FIRST, TOKEN, OLD_TOKEN = "first", "token", "token, old"
FRESH, AGAIN, COUNTED, IDS = "number, fresh", "number, again", "counted", "ids"


@dataclass
class Filter:
    """What is asked for, beside order and page."""
    label: str
    category: str = ""
    in_stock: bool = False
    # Further fields of the request.
    fields: dict = field(default_factory=dict)
    # Categories that the filter matches: as many stretches of an index are read. One where no category is asked for.
    ranges: int = 1
    # Products that it matches.
    count: int = 0


@dataclass
class Shape:
    filter: Filter
    order: str
    kind: str
    # Where the page lies, for people.
    place: str
    # Its number, from 1.
    page: int = 1
    # Whether the predecessor is asked for it, too: of what costs it the same, only some.
    has_predecessor: bool = False

    @property
    def label(self):
        return " · ".join([self.filter.label, self.order, self.place])

    @property
    def slug(self):
        return re.sub("[^a-z0-9]+", "-", self.label.lower()).strip("-")

    @property
    def method(self):
        return "BatchGetProducts" if self.kind == IDS else "ListProducts"

    @property
    def has_bounded_keys(self):
        """Whether it may examine no more keys than it shows products, but for one or two at the ends of each range. Others skip or count."""
        return self.kind in (FIRST, TOKEN, OLD_TOKEN, IDS)

    @property
    def predecessor_arguments(self):
        return {"page": self.page, "page_size": PAGE_SIZE, "category": self.filter.category, "sort": SORTS[self.order],
                "in_stock": self.filter.in_stock}

    @property
    def request(self):
        """In ProtoJSON, without its page."""
        if self.kind == IDS:
            return self.filter.fields
        request = {"orderBy": self.order, "pageSize": PAGE_SIZE, **self.filter.fields}
        if self.filter.category:
            request["category"] = self.filter.category
        if self.filter.in_stock:
            request["inStockOnly"] = True
        if self.kind == COUNTED:
            request["totalMode"] = "TOTAL_MODE_EXACT"
        return request


def counts_of(database):
    """Products by folded category."""
    return {row["_id"]: row["count"] for row in database.categories.find({"count": {"$exists": True}})}


def choose_categories(database):
    """Texts to look for in categories, by what they are to find: a category by itself, some with about a twentieth of all products, and
    as many as there are.

    Made up from what is there: any categories will do.
    """
    counts = counts_of(database)
    texts = set(counts) | {key[start:start + length] for length in (1, 2, 3) for key in counts for start in range(len(key) - length + 1)}
    matches = {text: [key for key in counts if text in key] for text in sorted(texts) if text.strip() == text}
    products = {text: sum(counts[key] for key in keys) for text, keys in matches.items()}
    twentieth = sum(counts.values()) / 20
    return {
        "one category": max((text for text, keys in matches.items() if len(keys) == 1), key=products.get),
        "few categories": min((text for text, keys in matches.items() if 2 <= len(keys) <= 40),
                              key=lambda text: abs(products[text] - twentieth)),
        "many categories": max((text for text, keys in matches.items() if len(keys) <= 200), key=lambda text: len(matches[text])),
    }


def filters(database, categories):
    """The filters of a shop, with what they match there."""
    found = []
    counts = counts_of(database)
    for label, text in {"all": "", **categories}.items():
        keys = [key for key in counts if text in key]
        condition = {"category_key": {"$in": keys}} if text else {}
        count = sum(counts[key] for key in keys)
        ranges = len(keys) if text else 1
        found.append(Filter(label, text, ranges=ranges, count=count))
        in_stock = database.products.count_documents({**condition, "stock": {"$gt": 0}})
        found.append(Filter(label + " in stock", text, in_stock=True, ranges=ranges, count=in_stock))
    return found


def price_filters(database, plain):
    """Of the plain filters, those with a range of prices: the middle fifth of a sample, in its most frequent currency."""
    sample = [row["price"] for row in database.products.aggregate([{"$sample": {"size": 2000}}, {"$project": {"price": 1}}])]
    currencies = [price["currency"] for price in sample]
    currency = max(sorted(set(currencies)), key=currencies.count)
    minors = sorted(price["minor"] for price in sample if price["currency"] == currency)
    low, high = minors[len(minors) * 2 // 5], minors[len(minors) * 3 // 5]

    def money(minor):
        return {"currencyCode": currency, "units": str(minor // 100), "nanos": minor % 100 * 10_000_000}

    fields = {"minPrice": money(low), "maxPrice": money(high)}
    condition = {"price.currency": currency, "price.minor": {"$gte": low, "$lte": high}}
    return [narrowed(database, filter, "in a price range", fields, condition) for filter in plain]


def prefix_filters(database, plain):
    """Of the plain filters, those with the beginning of a name: the most frequent letter of a sample."""
    names = [row["name_key"] for row in database.products.aggregate([{"$sample": {"size": 2000}}, {"$project": {"name_key": 1}}])]
    letters = [name[0] for name in names if "a" <= name[0] <= "z"]
    letter = max(sorted(set(letters)), key=letters.count)
    condition = {"name_key": {"$gte": letter, "$lt": chr(ord(letter) + 1)}}
    return [narrowed(database, filter, "by name prefix", {"namePrefix": letter}, condition) for filter in plain]


def narrowed(database, filter, label, fields, condition):
    keys = [key for key in counts_of(database) if filter.category in key]
    categories = {"category_key": {"$in": keys}} if filter.category else {}
    stock = {"stock": {"$gt": 0}} if filter.in_stock else {}
    return Filter(f"{filter.label} {label}", filter.category, filter.in_stock, fields, filter.ranges,
                  database.products.count_documents({**categories, **stock, **condition}))


def by_token(filter, order):
    """The first page, and one far behind it."""
    deep = max(1, int(filter.count // PAGE_SIZE * DEEP))
    compared = order in ("name", "price desc") and not filter.fields and not (filter.in_stock and filter.category)
    return [Shape(filter, order, FIRST, "first page", has_predecessor=compared),
            Shape(filter, order, TOKEN, f"token at {DEEP:.0%} depth", deep, has_predecessor=compared),
            Shape(filter, order, OLD_TOKEN, f"old token at {DEEP:.0%} depth", deep)]


def by_number(filter, order):
    """Pages in the middle and at the end."""
    pages = max(1, -(-filter.count // PAGE_SIZE))
    middle = max(1, pages // 2)
    return [Shape(filter, order, FRESH, "middle by number", middle), Shape(filter, order, AGAIN, "middle by number, again", middle),
            Shape(filter, order, FRESH, "last by number", pages)]


def shapes(database, categories):
    """Every shape: the table of docs/data-model.md, at each kind of page."""
    plain = filters(database, categories)
    prices, prefixes = price_filters(database, plain), prefix_filters(database, plain)
    listed = [shape for filter in plain for order in SORTS for shape in by_token(filter, order) + by_number(filter, order)]
    listed += [shape for filter in prices for order in ("price", "price desc") for shape in by_token(filter, order)]
    listed += [shape for filter in prefixes for order in ("name", "name desc") for shape in by_token(filter, order)]
    listed += [Shape(filter, "price" if filter in prices else "name", COUNTED, "first page, counted")
               for filter in plain + prices + prefixes if filter.in_stock or filter.fields]
    return listed + [by_ids(database, count) for count in (10, 100, 1000)]


def by_ids(database, count):
    ids = [row["_id"] for row in database.products.find({}, {"_id": 1}, sort=[("name_key", 1)], limit=count)]
    return Shape(Filter("ids", fields={"ids": ids}, ranges=len(ids), count=len(ids)), "as asked for", IDS, f"{count} products")


def depths(everything):
    """Pages of all products, by name, ever deeper, in every way: what deep pages cost."""
    last = everything.count // PAGE_SIZE
    pages = [10 ** power for power in range(1, 9) if 10 ** power < last * 0.4] + [last // 2, int(last * 0.75), int(last * DEEP), last - 1]
    return [Shape(everything, "name", kind, f"page {page} {kind}", page) for page in pages for kind in (TOKEN, FRESH, AGAIN)]
