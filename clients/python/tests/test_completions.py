"""Completions from the real program, over its restarts."""
import os
import queue
import threading
import time
import unittest

import orderwire
from orderwire import Code, Disposition
from orderwire.catalog.v1 import catalog_service_pb2
from orderwire.orders.v1 import order_pb2, order_service_pb2

from .support import PATIENCE, PROGRAMS, Shop, eventually, temporary_folder

CATALOG = catalog_service_pb2.DESCRIPTOR.services_by_name["CatalogService"]
ORDERS = order_service_pb2.DESCRIPTOR.services_by_name["OrderService"]


class Subscriber:
    """Reads completions in a thread; how it ended stands in `error`."""

    def __init__(self, channel, group, **options):
        self.seen, self.error = queue.Queue(), None
        self.stop_after = options.pop("stop_after", None)
        self.completions = orderwire.completions(channel, group, **options)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        try:
            for completion in self.completions:
                self.seen.put(completion)
                if completion.sequence == self.stop_after:
                    break
            self.completions.close()
        except orderwire.RPCError as error:
            self.error = error

    def take(self, count):
        return [self.seen.get(timeout=PATIENCE) for _ in range(count)]


@unittest.skipUnless(PROGRAMS, "ORDERWIRE_PROGRAMS is not set")
class CompletionTests(unittest.TestCase):
    def setUp(self):
        folder = temporary_folder()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.shop = Shop(self.folder)
        self.addCleanup(lambda: self.shop.terminate())
        self.channel = orderwire.Channel(self.shop.endpoint, name="mailer", timeout=PATIENCE, connect_timeout=PATIENCE)
        self.addCleanup(self.channel.close)
        self.orders = orderwire.Stub(self.channel, ORDERS)
        product = catalog_service_pb2.Product(id="p", name="Product", category="Things", stock=1000)
        product.price.currency_code, product.price.units = "EUR", 2
        orderwire.Stub(self.channel, CATALOG).ImportProducts(catalog_service_pb2.ImportProductsRequest(products=[product]))

    def submit(self, key, quantity=1):
        line = order_pb2.OrderLine(product_id="p", quantity=quantity)
        return self.orders.SubmitOrder(order_service_pb2.SubmitOrderRequest(idempotency_key=key, lines=[line])).order

    def test_each_order_is_reported_once_in_order_over_a_kill_of_the_server(self):
        subscriber = Subscriber(self.channel, "audit", after=0)
        ids = [self.submit(f"before-{number}").id for number in range(10)]
        seen = subscriber.take(5)
        self.shop.kill()
        self.shop = Shop(self.folder, self.shop.endpoint)
        ids += [self.submit(f"after-{number}").id for number in range(10)]
        self.assertEqual(self.submit("before-3").id, ids[3])  # the same key is the same order, over the restart
        while len({completion.sequence for completion in seen}) < 20:
            seen += subscriber.take(1)
        sequences = [completion.sequence for completion in seen]
        self.assertEqual(sequences, list(range(1, 21)))
        self.assertEqual({completion.order_id for completion in seen}, set(ids))
        self.assertEqual({completion.state for completion in seen}, {order_pb2.ORDER_STATE_FULFILLED})
        self.assertEqual({completion.total.units for completion in seen}, {2})

    def test_what_was_not_finished_with_comes_again(self):
        ids = [self.submit(str(number)).id for number in range(6)]
        first = Subscriber(self.channel, "mail", after=0, stop_after=4)
        first.thread.join(PATIENCE)
        self.assertEqual([completion.order_id for completion in first.take(4)], self.in_order(ids)[:4])
        # The fourth was handed out, and nothing was asked for after it.
        again = Subscriber(self.channel, "mail", after=0)
        self.assertEqual([completion.sequence for completion in again.take(3)], [4, 5, 6])

    def in_order(self, ids):
        found = []
        while len(found) < len(ids):
            found = [completion.order_id for completion in self.orders.ListCompletions(
                order_service_pb2.ListCompletionsRequest(after_sequence=0)).completions]
        return found

    def test_members_share_a_group(self):
        members = [Subscriber(self.channel, "shared", after=0) for _ in range(2)]
        ids = {self.submit(str(number)).id for number in range(30)}
        self.assertTrue(eventually(lambda: sum(member.seen.qsize() for member in members) >= 30))
        seen = [completion for member in members for completion in member.take(member.seen.qsize())]
        self.assertEqual(sorted(completion.sequence for completion in seen), list(range(1, 31)), "each by one of them, once")
        self.assertEqual({completion.order_id for completion in seen}, ids)

    @unittest.skipUnless(os.environ.get("ORDERWIRE_LONG") == "1", "takes longer than a member may be silent")
    def test_a_consumer_that_takes_its_time_stays_a_member(self):
        for number in range(3):
            self.submit(str(number))
        completions = orderwire.completions(self.channel, "slow", after=0)
        self.assertEqual(next(completions).sequence, 1)
        time.sleep(7)
        other = Subscriber(self.channel, "slow", after=0)
        self.assertEqual([next(completions).sequence, next(completions).sequence], [2, 3])
        completions.close()
        self.assertEqual([completion.sequence for completion in other.take(1)], [3])  # which was not finished with

    def test_refused_fields_are_listed_all_at_once(self):
        line = order_pb2.OrderLine(product_id="", quantity=-1)
        with self.assertRaises(orderwire.RPCError) as raised:
            self.orders.SubmitOrder(order_service_pb2.SubmitOrderRequest(lines=[line]))
        error = raised.exception
        self.assertEqual((error.code, error.reason, error.disposition), (Code.INVALID_ARGUMENT, "INVALID_FIELD", Disposition.NOT_EXECUTED))
        self.assertEqual({violation.field for violation in error.violations},
                         {"idempotency_key", "lines[0].product_id", "lines[0].quantity"})
        with self.assertRaises(orderwire.RPCError) as raised:
            self.orders.GetOrder(order_service_pb2.GetOrderRequest(id="A" * 26))
        self.assertEqual((raised.exception.code, raised.exception.disposition), (Code.NOT_FOUND, Disposition.EXECUTED))


if __name__ == "__main__":
    unittest.main()
