"""When a call is tried again, without a server."""
import unittest

from orderwire.errors import Code, Disposition, RPCError
from orderwire.retry import RetryBudget, RetryPolicy, RetryState

MAYBE, NOT_EXECUTED, EXECUTED = Disposition


def failure(code=Code.UNAVAILABLE, disposition=NOT_EXECUTED, reason="DATABASE_UNAVAILABLE", retry_delay=None):
    return RPCError(code, reason, "", disposition, retry_delay=retry_delay)


class RetryTests(unittest.TestCase):
    def test_what_is_tried_again(self):
        for code, disposition, delay, idempotent, again in [
            (Code.UNAVAILABLE, NOT_EXECUTED, None, False, True),
            (Code.UNAVAILABLE, MAYBE, None, False, False),
            (Code.UNAVAILABLE, MAYBE, None, True, True),
            (Code.UNAVAILABLE, EXECUTED, None, True, False),
            (Code.RESOURCE_EXHAUSTED, NOT_EXECUTED, None, True, False),
            (Code.RESOURCE_EXHAUSTED, NOT_EXECUTED, 0.1, False, True),
            (Code.DEADLINE_EXCEEDED, NOT_EXECUTED, None, True, False),
            (Code.INTERNAL, MAYBE, 0.1, True, False),
        ]:
            with self.subTest(code=code, disposition=disposition, delay=delay, idempotent=idempotent):
                wait = RetryState(RetryPolicy(), idempotent).wait(failure(code, disposition, retry_delay=delay), 5, True)
                self.assertEqual(wait is not None, again)

    def test_waits_grow_up_to_the_longest_and_the_tries_end(self):
        state = RetryState(RetryPolicy(max_attempts=5, initial_backoff=1, max_backoff=3, jitter=0.5), False)
        waits = [state.wait(failure(), 100, True) for _ in range(5)]
        for wait, middle in zip(waits, [1, 2, 3, 3]):
            self.assertTrue(middle / 2 <= wait <= middle * 3 / 2, waits)
        self.assertIsNone(waits[4])

    def test_the_servers_word_is_the_shortest_wait(self):
        for _ in range(100):
            self.assertGreaterEqual(RetryState(RetryPolicy(), False).wait(failure(retry_delay=0.5), 5, True), 0.5)

    def test_no_wait_is_longer_than_what_is_left(self):
        self.assertIsNone(RetryState(RetryPolicy(), False).wait(failure(retry_delay=0.5), 0.4, True))

    def test_being_turned_away_takes_no_try_but_not_for_ever(self):
        state = RetryState(RetryPolicy(max_attempts=1), False)
        turned_away = [state.wait(failure(reason="SHUTTING_DOWN"), 5, False) for _ in range(9)]
        self.assertEqual(turned_away, [0.0] * 8 + [None])

    def test_the_outcome_does_not_forget_a_try_that_may_have_run(self):
        state = RetryState(RetryPolicy(max_attempts=2), True)
        self.assertIsNotNone(state.wait(failure(disposition=MAYBE), 5, True))
        state.sent = 2
        final = state.final(failure())
        self.assertEqual((final.disposition, final.metadata), (MAYBE, {"attempts": "2"}))

    def test_the_budget_stops_at_half_and_comes_back_by_successes(self):
        budget = RetryBudget()
        for _ in range(4):
            budget.failed()
        self.assertTrue(budget.allows_retries)
        budget.failed()
        self.assertFalse(budget.allows_retries)
        self.assertIsNone(RetryState(RetryPolicy(), False).wait(failure(), 5, budget.allows_retries))
        budget.succeeded()
        self.assertTrue(budget.allows_retries)


if __name__ == "__main__":
    unittest.main()
