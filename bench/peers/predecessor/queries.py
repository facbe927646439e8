"""How the service that Orderwire replaces asks MongoDB: as services of its kind usually do."""
import re

DATABASE = "predecessor"
COLLECTION = "products"

# With an index on the fields that it sorts by, it is slower: MongoDB then reads all products through that index, one by one.
INDEXED_FIELDS = ["category"]

SORTS = {"name": {"name": 1}, "name_desc": {"name": -1}, "price": {"price": 1}, "price_desc": {"price": -1}}


def page_pipeline(page=1, page_size=10, category="", sort="name", in_stock=False):
    """A page of the products and how many there are in all, in one round trip."""
    match = {}
    if category:
        match["category"] = {"$regex": re.escape(category), "$options": "i"}
    if in_stock:
        match["stock"] = {"$gt": 0}
    return [
        {"$match": match},
        {"$sort": SORTS[sort]},
        {"$facet": {
            "items": [{"$skip": (page - 1) * page_size}, {"$limit": page_size}],
            "total": [{"$count": "count"}],
        }},
    ]


def copy_products(client, source="orderwire"):
    """Fills the service's own collection with the products of a shop that is in the same MongoDB."""
    client[source].products.aggregate([
        {"$project": {
            "name": 1, "category": 1, "price": {"$divide": ["$price.minor", 100]}, "currency": "$price.currency", "stock": 1,
            "description": 1, "updated_at": "$updated",
        }},
        {"$out": {"db": DATABASE, "coll": COLLECTION}},
    ])
    for field in INDEXED_FIELDS:
        client[DATABASE][COLLECTION].create_index(field)
