"""Jobs, as every engine has them."""

from dataclasses import replace

from tests.contract.engines.harness import Harness, LocalHarness, Run, RunLocal, until

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, lambda *_: None)
print("deaf", flush=True)
while True: time.sleep(1)
"""


def test_a_job_is_alive_until_its_end_is_on_record(run: Run) -> None:
    async def story(harness: Harness) -> None:
        assert harness.engine.job("fit-1") is None
        await harness.engine.start_job(harness.job_order())
        found = harness.engine.job("fit-1")
        assert found is not None
        assert found.alive
        harness.engine.changed.clear()
        await harness.let_job_end("fit-1")
        ended = await harness.job_ended("fit-1")
        assert (ended.exit_code, ended.ended_by) == (0, "exit")
        assert ended.ended_at is not None
        await until(harness.engine.changed.is_set)

    run(story)


def test_a_job_started_twice_is_one_job(run: Run) -> None:
    async def story(harness: Harness) -> None:
        order = harness.job_order()
        await harness.engine.start_job(order)
        await harness.engine.start_job(order)
        await harness.restart()
        await harness.engine.start_job(order)
        await harness.let_job_end("fit-1")
        ended = await harness.job_ended("fit-1")
        await harness.engine.start_job(order)
        assert harness.engine.job("fit-1") == ended

    run(story)


def test_a_later_attempt_of_a_job_that_has_ended_is_a_process_of_its_own(run: Run) -> None:
    async def story(harness: Harness) -> None:
        order = harness.job_order()
        await harness.engine.start_job(order)
        await harness.lose_job("fit-1")
        await harness.job_ended("fit-1")
        await harness.engine.start_job(replace(order, attempt=2))
        found = harness.engine.job("fit-1")
        assert found is not None
        assert (found.alive, found.attempt) == (True, 2)
        await harness.restart()
        await harness.let_job_end("fit-1")
        ended = await harness.job_ended("fit-1")
        assert (ended.exit_code, ended.attempt) == (0, 2)
        await harness.engine.start_job(replace(order, attempt=2))
        assert harness.engine.job("fit-1") == ended

    run(story)


def test_what_an_earlier_attempt_printed_stays(run_local: RunLocal) -> None:
    async def story(harness: LocalHarness) -> None:
        for attempt in (1, 2):
            order = harness.job_order(script=f"print('attempt {attempt}')")
            await harness.engine.start_job(replace(order, attempt=attempt))
            await harness.job_ended("fit-1")
        output = harness.home.engine / "jobs" / "fit-1" / "output.log"
        assert output.read_text().splitlines() == ["attempt 1", "attempt 2"]

    run_local(story)


def test_a_job_that_takes_more_memory_than_it_may_is_ended_and_says_so(run_local: RunLocal) -> None:
    async def story(harness: LocalHarness) -> None:
        order = harness.job_order(script="import time; held = bytearray(200 * 2**20); time.sleep(60)")
        await harness.engine.start_job(replace(order, memory_bytes=100 * 2**20))
        ended = await harness.job_ended("fit-1")
        assert (ended.exit_code, ended.ended_by) == (-9, "memory")
        assert ended.failure == "it took more memory than the 100 MiB of its limit, compute.mem"

    run_local(story)


def test_the_next_engine_finds_a_living_job_and_can_stop_it(run: Run) -> None:
    async def story(harness: Harness) -> None:
        await harness.engine.start_job(harness.job_order())
        await harness.restart()
        found = harness.engine.job("fit-1")
        assert found is not None
        assert found.alive

        def ended() -> bool:
            # As the controller does it: asked at every look, until it has ended.
            harness.engine.stop_job("fit-1")
            fact = harness.engine.job("fit-1")
            return fact is not None and not fact.alive

        await until(ended)
        assert (await harness.job_ended("fit-1")).ended_by == "stop"
        harness.engine.stop_job("fit-1")
        harness.engine.stop_job("never-was")

    run(story)


def test_a_job_that_is_killed_from_outside_is_lost(run: Run) -> None:
    async def story(harness: Harness) -> None:
        await harness.engine.start_job(harness.job_order())
        await harness.lose_job("fit-1")
        ended = await harness.job_ended("fit-1")
        assert (ended.alive, ended.exit_code) == (False, None)

    run(story)


def test_a_job_that_will_not_end_is_on_record_as_stopped_when_everything_is(run_local: RunLocal) -> None:
    async def story(harness: LocalHarness) -> None:
        await harness.engine.start_job(harness.job_order(script=STUBBORN))
        output = harness.home.engine / "jobs" / "fit-1" / "output.log"
        await until(lambda: "deaf" in output.read_text())
        await harness.engine.stop_everything(0.1)
        ended = await harness.job_ended("fit-1")
        assert (ended.exit_code, ended.ended_by) == (-9, "stop")

    run_local(story)
