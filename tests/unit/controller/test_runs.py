"""Stories of runs: from the wish to the registered model, and every other end."""

import pytest

from modelyard.controller.runs import LOST
from modelyard.domain.runs import RunStatus, RunStep
from modelyard.errors import StoreFailed
from tests.unit.controller.stage import Stage, Tell


def test_a_run_that_ends_well_registers_its_model_once(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        run = await stage.train(model="price", inputs={"train": stage.tree(data__csv="1,2\n")})
        assert (run.status, run.step) == (RunStatus.IN_PROGRESS, RunStep.TRAINING)
        assert (stage.base() / "input" / "data" / "train" / "data.csv").read_text() == "1,2\n"
        (stage.base() / "model" / "model.txt").write_text("learnt")
        stage.engine.finish_job("fit-1", metrics={"rmse": 1.5})
        await stage.look(3)
        run = stage.run()
        assert (run.status, run.model_version, run.exit_code, run.metrics) == (
            RunStatus.COMPLETED,
            1,
            0,
            {"rmse": 1.5},
        )
        assert len(stage.store.models.versions("price")) == 1
        assert stage.sentences("fit-1") == ["training", "Completed, registered price:1"]

    tell(story)


def test_what_a_script_does_to_its_inputs_and_code_never_reaches_the_store(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        tree = stage.tree(data__csv="1,2\n")
        run = await stage.train(inputs={"train": tree})
        for path in (stage.base() / "input" / "data" / "train" / "data.csv", stage.base() / "code" / "train.py"):
            path.write_text("spoilt")
        assert run.spec.code is not None
        contents = [stage.artifacts.read(stage.artifacts.tree(one)[0].sha256) for one in (tree, run.spec.code)]
        assert contents == [b"1,2\n", b"print()"]

    tell(story)


def test_a_run_that_wrote_no_model_fails_with_the_place_to_write_to(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.train(model="price")
        stage.engine.finish_job("fit-1")
        await stage.look(2)
        assert stage.run().status is RunStatus.FAILED
        assert "wrote nothing to its model folder" in (stage.run().failure_reason or "")

    tell(story)


@pytest.mark.parametrize(
    ("failure", "reason"), [("ValueError: no rows (exit code 1)",) * 2, (None, "it ended with exit code 1")]
)
def test_a_run_that_fails_says_why(tell: Tell, failure: str | None, reason: str) -> None:
    async def story(stage: Stage) -> None:
        await stage.train()
        stage.engine.finish_job("fit-1", 1, failure)
        await stage.look()
        run = stage.run()
        assert (run.status, run.exit_code, run.failure_reason) == (RunStatus.FAILED, 1, reason)

    tell(story)


def test_a_run_whose_process_is_gone_without_a_record_is_lost(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.train()
        stage.engine.lose_job("fit-1")
        await stage.look()
        assert (stage.run().status, stage.run().failure_reason) == (RunStatus.LOST, LOST)

    tell(story)


def test_a_run_is_stopped_by_wish_and_by_its_limit(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.train()
        stage.store.runs.request_stop("fit-1", stage.clock.now())
        await stage.look(2)
        assert (stage.run().status, stage.run().step, stage.run().failure_reason) == (
            RunStatus.STOPPED,
            RunStep.STOPPED,
            None,
        )
        await stage.train(max_runtime_seconds=60.0)
        stage.engine.finish_job_by_limit("fit-2")
        await stage.look()
        assert (stage.run("fit-2").step, stage.run("fit-2").failure_reason) == (
            RunStep.MAX_RUNTIME_EXCEEDED,
            "it ran longer than its maximum of 60 s",
        )

    tell(story)


def test_a_run_that_is_stopped_while_it_waits_never_starts(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.train(looked_at=False)
        stage.store.runs.request_stop("fit-1", stage.clock.now())
        await stage.look()
        assert stage.run().status is RunStatus.STOPPED
        assert stage.engine.job_orders == {}

    tell(story)


def test_a_run_that_is_stopped_while_its_inputs_are_laid_out_ends_as_stopped(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.train(looked_at=False)
        await stage.controller.look()
        stage.store.runs.request_stop("fit-1", stage.clock.now())
        await stage.look(3)
        assert stage.run().status is RunStatus.STOPPED

    tell(story)


def test_a_stop_that_comes_between_the_end_and_the_upload_does_not_lose_the_model(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.train(model="price")
        (stage.base() / "model" / "model.txt").write_text("learnt")
        stage.engine.finish_job("fit-1")
        await stage.controller.look()
        stage.store.runs.request_stop("fit-1", stage.clock.now())
        await stage.look(3)
        assert (stage.run().status, stage.run().model_version) == (RunStatus.COMPLETED, 1)

    tell(story)


def test_a_run_that_fails_is_tried_again_as_often_as_it_may_with_its_checkpoints_kept(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.train(retry_count=2)
        (stage.base() / "checkpoints" / "epoch.txt").write_text("1")
        (stage.base() / "model" / "half.txt").write_text("left by the first")
        stage.engine.finish_job("fit-1", 1, "ValueError: no")
        await stage.look()
        run = stage.run()
        assert (run.status, run.step, run.attempt) == (RunStatus.IN_PROGRESS, RunStep.RESTARTING, 2)
        assert "attempt 1 ended: ValueError: no; attempt 2 follows" in stage.sentences("fit-1")
        await stage.wait(1.0)
        assert stage.run().step is RunStep.TRAINING
        assert stage.engine.job_orders["fit-1"].attempt == 2
        assert (stage.base() / "checkpoints" / "epoch.txt").read_text() == "1"
        assert not (stage.base() / "model" / "half.txt").exists()
        stage.engine.lose_job("fit-1")
        await stage.look()
        await stage.wait(2.0)
        stage.engine.finish_job("fit-1", 1, "ValueError: no")
        await stage.look()
        assert (stage.run().status, stage.run().attempt) == (RunStatus.FAILED, 3)

    tell(story)


def test_a_run_is_tried_again_only_after_the_ends_that_it_names_and_never_after_a_stop(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.train(retry_count=3, retry_on=["interrupted"])
        stage.engine.finish_job("fit-1", 1)
        await stage.look()
        assert stage.run().status is RunStatus.FAILED
        await stage.train(retry_count=3)
        stage.store.runs.request_stop("fit-2", stage.clock.now())
        await stage.look(2)
        assert (stage.run("fit-2").status, stage.run("fit-2").attempt) == (RunStatus.STOPPED, 1)

    tell(story)


def test_an_interrupted_run_goes_on_though_the_controller_was_killed_and_the_machine_went_down(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.train(retry_count=1)
        stage.engine.reboot()
        await stage.restart()
        assert stage.run().step is RunStep.RESTARTING
        await stage.restart()
        await stage.wait(1.0)
        assert (stage.run().step, stage.run().attempt) == (RunStep.TRAINING, 2)
        stage.engine.finish_job("fit-1")
        await stage.look(2)
        assert stage.run().status is RunStatus.COMPLETED

    tell(story)


def test_a_run_that_waits_says_why_and_the_highest_priority_starts_first(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.train(cpu_millis=4000)
        await stage.train(memory_bytes=2**62)
        await stage.train(priority=5)
        assert "MiB here" in str(stage.run("fit-2").waiting)
        assert stage.run("fit-3").waiting == "needs 1 core: 4 cores of 4 cores are taken"
        await stage.train(cpu_millis=4000, priority=9)
        stage.engine.finish_job("fit-1")
        await stage.look(3)
        assert sorted(stage.engine.job_orders) == ["fit-1", "fit-4"]
        assert stage.run("fit-4").waiting is None

    tell(story)


def test_what_goes_beyond_the_cores_waits_in_order(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        stage.engine._cpu_millis = 2000
        for _ in range(4):
            await stage.train(looked_at=False)
        await stage.look(2)
        assert sorted(stage.engine.job_orders) == ["fit-1", "fit-2"]
        stage.engine.finish_job("fit-2")
        await stage.look(3)
        assert sorted(stage.engine.job_orders) == ["fit-1", "fit-2", "fit-3"]
        assert stage.run("fit-4").step is RunStep.PENDING

    tell(story)


def test_runs_that_a_dead_controller_was_laying_out_are_begun_again_however_many(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        stage.engine._cpu_millis = 2000
        for run in ("fit-1", "fit-2", "fit-3"):
            await stage.train(looked_at=False)
            stage.store.runs.move(run, RunStatus.IN_PROGRESS, RunStep.DOWNLOADING, stage.clock.now())
        await stage.look()
        assert sorted(stage.engine.job_orders) == ["fit-1", "fit-2"]

    tell(story)


def test_a_job_that_a_dead_controller_had_started_is_found_training(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.train()
        order = stage.engine.job_orders["fit-1"]
        await stage.train(looked_at=False)
        stage.store.runs.move("fit-2", RunStatus.IN_PROGRESS, RunStep.DOWNLOADING, stage.clock.now())
        await stage.engine.start_job(type(order)("fit-2", order.base, order.command))
        await stage.restart()
        assert stage.run("fit-2").step is RunStep.TRAINING

    tell(story)


def test_a_controller_killed_while_it_registers_registers_once(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.train(model="price")
        (stage.base() / "model" / "model.txt").write_text("learnt")
        stage.engine.finish_job("fit-1")
        run = stage.run()
        stage.controller._runs.register(run, "price")
        await stage.restart()
        await stage.look(2)
        assert stage.run().model_version == 1
        assert len(stage.store.models.versions("price")) == 1

    tell(story)


def test_while_the_yard_goes_down_nothing_that_waits_is_started(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        stage.engine._cpu_millis = 1000
        for _ in range(2):
            await stage.train(looked_at=False)
        await stage.look(2)
        await stage.controller._end()
        assert list(stage.engine.job_orders) == ["fit-1"]
        assert (stage.run("fit-1").status, stage.run("fit-1").failure_reason) == (
            RunStatus.STOPPED,
            "the yard went down while it ran",
        )
        assert stage.run("fit-2").step is RunStep.PENDING

    tell(story)


def test_an_event_that_cannot_be_written_makes_no_failure_of_a_run_that_trains(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        def full(*_: object) -> None:
            raise StoreFailed("cannot write: the disk is full")

        stage.store.events.add = full  # pyright: ignore[reportAttributeAccessIssue] (a full disk, made here)
        await stage.train()
        assert stage.run().step is RunStep.TRAINING

    tell(story)


def test_code_that_is_gone_is_a_failure_with_its_name(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.train(code="0" * 64)
        assert stage.run().status is RunStatus.FAILED
        assert stage.run().failure_reason == f"cannot find artifact {'0' * 64}"

    tell(story)
