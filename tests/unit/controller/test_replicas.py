"""Programs that start together are judged by what each could have had of the machine."""

import asyncio

from modelyard.clock import ManualClock
from modelyard.controller.replicas import Replicas
from modelyard.domain.endpoints import EndpointSpec
from modelyard.domain.replicas import FailureKind, ReplicaState
from modelyard.engines.fake import FakeEngine, Plan
from modelyard.engines.ports import Probe, ReplicaOrder

LATE = Probe(ok=False, timed_out=True, reason="it was not ready within 100 s")
SPEC = EndpointSpec("0" * 64, start_seconds=100.0)


async def started(count: int, *, fresh: bool) -> tuple[ManualClock, FakeEngine, Replicas]:
    """So many replicas on their way, on a machine of two cores."""
    clock = ManualClock()
    engine = FakeEngine(clock, cpu_millis=2000)
    engine.plans.extend(Plan(probe=None) for _ in range(count))
    replicas = Replicas(engine, clock, lambda: None)
    for number in range(count):
        why = "an app runs its own command" if fresh else None
        replicas.bring_up(ReplicaOrder(f"app-{number}", "app", 1, SPEC, "/nowhere", why_fresh=why))
    await settled()
    return clock, engine, replicas


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def states(engine: FakeEngine, replicas: Replicas) -> list[str]:
    return sorted(one.state.value for one in replicas.facts("app", engine.replicas("app")))


def test_five_that_start_on_two_cores_have_the_time_that_one_would_have_had() -> None:
    async def story() -> None:
        clock, engine, replicas = await started(5, fresh=True)
        for answer in (LATE, Probe(ok=True)):
            clock.advance(100.0)
            for one in engine.replicas("app"):
                engine.answer_probe(one.id, answer)
            await settled()
        assert states(engine, replicas) == [ReplicaState.READY.value] * 5

    asyncio.run(story())


def test_one_that_never_listens_is_ended_when_it_has_had_its_time() -> None:
    async def story() -> None:
        clock, engine, replicas = await started(5, fresh=True)
        rounds = 0
        while any(one.alive for one in engine.replicas("app")):
            rounds += 1
            clock.advance(60.0)
            for one in engine.replicas("app"):
                if one.alive:
                    engine.answer_probe(one.id, LATE)
            await settled()
        assert 4 <= rounds <= 5, "100 s of two fifths of the time"
        (fact, *_) = replicas.facts("app", engine.replicas("app"))
        assert (fact.failure, fact.reason) == (FailureKind.PROBE, LATE.reason)
        assert engine.output_tail(fact.id) == f"killed: {LATE.reason}", "whoever reads its log sees why it ended"

    asyncio.run(story())


def test_for_those_that_have_cores_or_were_forked_the_limit_is_the_limit() -> None:
    async def story() -> None:
        for count, fresh in ((2, True), (5, False)):
            clock, engine, replicas = await started(count, fresh=fresh)
            clock.advance(100.0)
            for one in engine.replicas("app"):
                engine.answer_probe(one.id, LATE)
            await settled()
            assert states(engine, replicas) == [ReplicaState.ENDED.value] * count

    asyncio.run(story())
