"""A candidate: an endpoint that is there for a while, so that something can be tried on it before it takes requests.

It is started as every endpoint is, with the settings of the one that it is to replace, in one replica. Whoever made it
deletes it; where they died meanwhile, its `ttl` does.
"""

import asyncio
import secrets
from dataclasses import dataclass, replace

from modelyard.api.yard import Yard
from modelyard.domain.access import BY_KEY
from modelyard.domain.deployments import Wanted
from modelyard.domain.endpoints import BUILDING, ERRORS, EndpointSpec
from modelyard.domain.names import NAME_LENGTH_MAX
from modelyard.domain.strategies import UpdateStrategy
from modelyard.errors import DeadlinePassed, NotFound, StartFailed

TTL_SECONDS = 3600.0
START_GRACE_SECONDS = 60.0
"""Beyond the start's own limit; what an environment takes to be built does not count."""

BUILD_SECONDS_MAX = 1800.0
LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Candidate:
    yard: Yard
    name: str
    project: str
    spec: EndpointSpec

    def wish(self) -> None:
        """Raises Conflict where it cannot be."""
        wanted = Wanted({self.name: self.spec}, access={self.name: BY_KEY})
        self.yard.store.deployments.apply(self.project, wanted, self.yard.clock.now())
        self.yard.poke()

    async def ready(self) -> None:
        """Waits until it serves. Raises StartFailed where it cannot, DeadlinePassed."""
        clock = self.yard.clock
        limit = clock.monotonic() + self.spec.start_seconds + START_GRACE_SECONDS
        built_by = clock.monotonic() + BUILD_SECONDS_MAX
        while True:
            seen = await asyncio.to_thread(self.yard.store.endpoints.status, self.name)
            if seen is not None and seen.ready:
                return
            if seen is not None and seen.state in ERRORS:
                raise StartFailed(f"cannot start the candidate: {seen.sentence}", "try it with `modelyard deploy`")
            now = clock.monotonic()
            if seen is not None and BUILDING in seen.sentence and now < built_by:
                limit = now + self.spec.start_seconds + START_GRACE_SECONDS
            if now > limit:
                said = seen.sentence if seen is not None else "the controller has not looked at it"
                raise DeadlinePassed(f"cannot wait longer for the candidate: {said}")
            await asyncio.sleep(LOOK_SECONDS)

    def delete(self) -> None:
        """Without effect where it is gone."""
        try:
            self.yard.store.endpoints.delete(self.name, self.yard.clock.now())
        except NotFound:
            return
        self.yard.poke()


def candidate_for(yard: Yard, endpoint: str, project: str, spec: EndpointSpec) -> Candidate:
    """A candidate with this spec beside an endpoint; nothing is wished yet."""
    mark = f"-try-{secrets.token_hex(4)}"
    alone = replace(
        spec,
        replicas=1,
        autoscaling=None,
        ttl_seconds=TTL_SECONDS,
        capture=None,
        asynchronous=None,
        update_strategy=UpdateStrategy(),
    )
    return Candidate(yard, endpoint[: NAME_LENGTH_MAX - len(mark)] + mark, project, alone)
