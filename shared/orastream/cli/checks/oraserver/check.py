"""A check: a rule, and the function that tries whether a server keeps it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from orastream.cli.checks.oraserver.listing import Sent
from orastream.cli.checks.oraserver.outcomes import (
    REFERENCE,
    CheckedRule,
    CheckFailed,
    CheckImpossible,
    Outcome,
    Result,
    ok,
)
from orastream.cli.checks.oraserver.server import ServerUnderTest
from orastream.delivery.sink import LinkLost

Try = Callable[[ServerUnderTest], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class Check:
    """A rule, and how it is tried. `try_it` may raise CheckFailed, LinkLost and TimeoutError: the rule is broken.

    CheckImpossible: it could not be tried.
    """

    rule: CheckedRule
    try_it: Try

    async def run(self, server: ServerUnderTest) -> Result:
        """Try it. Raises nothing."""
        try:
            outcome = await self.try_it(server)
        except (CheckFailed, LinkLost) as exc:
            outcome = Outcome("broken", str(exc))
        except TimeoutError:
            outcome = Outcome("broken", "the server took too long")
        except CheckImpossible as exc:
            outcome = Outcome("impossible", str(exc))
        return Result(self.rule, outcome)


def check(name: str, *, tried: str, rule: str, section: str, page: str = REFERENCE) -> Callable[[Try], Check]:
    """Make a check of a function. `section` is a heading of `page`."""
    return lambda try_it: Check(CheckedRule(name, tried, rule, section, page), try_it)


async def kept(server: ServerUnderTest, happened: str, *sent: Sent) -> Outcome:
    """The rule is kept, if the listing does not differ from what was sent. Raises CheckFailed and CheckImpossible."""
    if server.received_url is None:
        return Outcome("accepted", happened)
    await server.must_have(*sent)
    return ok(f"{happened}; the stored files are right")
