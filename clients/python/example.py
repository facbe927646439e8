#!/usr/bin/env python3
"""Orders something and waits for its completion: `example.py ENDPOINT`, against `orderwire serve`."""
import sys
import uuid

import orderwire
from orderwire.catalog.v1 import catalog_service_pb2 as catalog
from orderwire.orders.v1 import order_pb2, order_service_pb2 as orders


def main(endpoint: str) -> None:
    with orderwire.Channel(endpoint, name="mailer") as channel:
        shop = orderwire.Stub(channel, catalog.DESCRIPTOR.services_by_name["CatalogService"])
        store = orderwire.Stub(channel, orders.DESCRIPTOR.services_by_name["OrderService"])

        pick = catalog.Product(id="guitar-pick", name="Guitar pick", category="Accessories", stock=100)
        pick.price.currency_code, pick.price.units = "EUR", 1
        shop.ImportProducts(catalog.ImportProductsRequest(products=[pick]))

        request = orders.SubmitOrderRequest(idempotency_key=str(uuid.uuid4()))
        request.lines.add(product_id="guitar-pick", quantity=2)
        answer = store.SubmitOrder(request, timeout=2.0, on_timings=lambda timings: print(timings))
        print("accepted:", answer.order.id)

        for completion in orderwire.completions(channel, "mailer", after=0):
            print("completed:", completion.order_id, order_pb2.OrderState.Name(completion.state), completion.total.units, "EUR")
            if completion.order_id == answer.order.id:
                break


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except orderwire.RPCError as error:
        sys.exit(f"{error}")
