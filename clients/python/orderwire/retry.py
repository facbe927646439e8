"""When a failed call is sent again (docs/wire-protocol.md, "Trying again"). No I/O, no clock."""
from __future__ import annotations

import random
from dataclasses import dataclass, replace

from .errors import Code, Disposition, RPCError


@dataclass(frozen=True)
class RetryPolicy:
    """How often, and with which waits in seconds."""

    max_attempts: int = 5
    initial_backoff: float = 0.02
    multiplier: float = 2.0
    max_backoff: float = 1.0
    jitter: float = 0.2
    """The part of a wait that is random: calls that failed together are not to come back together."""


class RetryState:
    """What became of the tries of one call."""

    MOST_TURNED_AWAY = 8
    """More often than servers end one after another."""

    def __init__(self, policy: RetryPolicy, idempotent: bool) -> None:
        self.policy, self.idempotent = policy, idempotent
        self.sent = self._tries = self._turned_away = 0
        self._may_have_run = False

    def wait(self, error: RPCError, remaining: float, has_budget: bool) -> float | None:
        """After a failed try: seconds to wait before the next, or None to give up."""
        if is_turned_away(error) and self._turned_away < self.MOST_TURNED_AWAY:
            self._turned_away += 1
            return 0.0
        self._tries += 1
        if self._tries >= self.policy.max_attempts or not has_budget or not self._is_retryable(error):
            return None
        policy = self.policy
        backoff = min(policy.initial_backoff * policy.multiplier ** (self._tries - 1), policy.max_backoff)
        wait = max(backoff * random.uniform(1 - policy.jitter, 1 + policy.jitter),
                   (error.retry_delay or 0.0) * random.uniform(1, 1 + policy.jitter))
        if wait >= remaining:
            return None
        self._may_have_run = self._may_have_run or error.disposition == Disposition.MAYBE
        return wait

    def _is_retryable(self, error: RPCError) -> bool:
        if not is_passing(error) or error.disposition == Disposition.EXECUTED:
            return False
        return error.disposition == Disposition.NOT_EXECUTED or self.idempotent

    def final(self, error: RPCError) -> RPCError:
        """The whole call's outcome: a last try that did not run says nothing of those before it."""
        if self._may_have_run and error.disposition == Disposition.NOT_EXECUTED:
            error = replace(error, disposition=Disposition.MAYBE)
        if self.sent > 1:
            error = replace(error, metadata={**error.metadata, "attempts": str(self.sent)})
        return error


def is_turned_away(error: RPCError) -> bool:
    """The server did not take the call: it has no session for it, or is about to end."""
    return error.disposition == Disposition.NOT_EXECUTED and error.reason in ("SESSION_UNKNOWN", "SHUTTING_DOWN")


def is_passing(error: RPCError) -> bool:
    """Whether another try may help, whatever became of the call."""
    return error.code == Code.UNAVAILABLE or error.code == Code.RESOURCE_EXHAUSTED and error.retry_delay is not None


class RetryBudget:
    """Keeps retries from multiplying an overload: gRPC's throttling, for all calls to one server."""

    MOST, BACK = 10.0, 0.1

    def __init__(self) -> None:
        self.tokens = self.MOST

    @property
    def allows_retries(self) -> bool:
        return self.tokens > self.MOST / 2

    def succeeded(self) -> None:
        self.tokens = min(self.MOST, self.tokens + self.BACK)

    def failed(self) -> None:
        self.tokens = max(0.0, self.tokens - 1)
