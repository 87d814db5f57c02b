"""Stories of schedules: from the deployed training to the run that the clock started, whoever was killed meanwhile."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from modelyard.domain.batches import Batch
from modelyard.domain.deployments import Wanted
from modelyard.domain.functions import Function
from modelyard.domain.invocations import Asynchronous, InvocationStatus
from modelyard.domain.models import Lineage
from modelyard.domain.resources import ResourceName
from modelyard.domain.runs import RunSpec
from modelyard.domain.schedules import Timing
from modelyard.domain.trainings import Training
from tests.unit.controller.stage import Stage, Tell

HOURLY = Timing("0 * * * *").document


async def deploy(stage: Stage, kind: str, name: str, document: dict[str, Any]) -> None:
    wanted = Wanted(resources={ResourceName(kind, name): document})
    stage.store.deployments.apply("shop", wanted, stage.clock.now())
    await stage.wait(2)


async def deploy_training(stage: Stage, schedule: dict[str, Any] = HOURLY, **reread: str) -> None:
    inputs = {channel: stage.tree(data__csv="old") for channel in reread}
    spec = RunSpec("fit", "shop", None, "train.py", stage.tree(train__py="print()"), inputs=inputs)
    await deploy(stage, "training", "fit", Training(spec, reread, schedule).document)


def planned(stage: Stage) -> list[float | None]:
    return [one.spec.scheduled_at for one in reversed(stage.store.runs.select())]


def hour(stage: Stage, ahead: int = 1) -> float:
    return (stage.clock.now() // 3600 + ahead) * 3600


def test_a_training_is_started_when_its_time_comes_and_once(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await deploy_training(stage)
        assert planned(stage) == []
        first = hour(stage)
        await stage.wait(first - stage.clock.now() + 1)
        await stage.wait(2)
        assert planned(stage) == [first]
        assert stage.sentences("fit") == ["schedule: started fit-1"]
        found = stage.store.schedules.get("training", "fit")
        assert found is not None
        assert (found.planned_at, found.started, found.sentence) == (first, "fit-1", "started fit-1")

    tell(story)


def test_a_time_while_the_run_before_goes_on_is_left_out_and_told(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await deploy_training(stage)
        for _ in range(2):
            await stage.wait(hour(stage) - stage.clock.now() + 1)
        assert len(planned(stage)) == 1
        assert stage.sentences("fit")[-1] == "schedule: left out: fit-1 still goes on"
        stage.engine.finish_job("fit-1")
        await stage.look(2)
        await stage.wait(hour(stage) - stage.clock.now() + 1)
        assert len(planned(stage)) == 2

    tell(story)


def test_times_while_the_yard_was_down_are_made_up_for_once(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await deploy_training(stage)
        newest = hour(stage, 3)
        stage.clock.advance(newest + 600 - stage.clock.now())
        await stage.restart()
        await stage.look()
        assert planned(stage) == [newest]
        assert stage.sentences("fit") == ["schedule: missed 3 times; started once for them", "schedule: started fit-1"]

    tell(story)


def test_a_controller_that_is_killed_before_the_run_is_there_or_before_it_says_so_starts_one_run(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await deploy_training(stage)
        first = hour(stage)
        await stage.wait(first - stage.clock.now() + 1)
        found = stage.store.schedules.get("training", "fit")
        assert found is not None
        # As it is between the run and the word about it.
        stage.store.schedules.put(type(found)("training", "fit", found.timing, found.looked_at, first))
        await stage.restart()
        await stage.wait(2)
        assert planned(stage) == [first]
        found = stage.store.schedules.get("training", "fit")
        assert found is not None
        assert found.started == "fit-1"

    tell(story)


def test_inputs_are_read_anew_for_each_run_and_one_that_is_gone_is_told(tell: Tell, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        data = tmp_path / "data.csv"
        data.write_text("new")
        await deploy_training(stage, train=str(data))
        await stage.wait(hour(stage) - stage.clock.now() + 1)
        (run,) = stage.store.runs.select()
        assert stage.artifacts.read(stage.artifacts.tree(run.spec.inputs["train"])[0].sha256) == b"new"
        data.unlink()
        stage.engine.finish_job("fit-1")
        await stage.look(2)
        await stage.wait(hour(stage) - stage.clock.now() + 1)
        assert len(planned(stage)) == 1
        assert stage.sentences("fit")[-1] == f"schedule: cannot find {data} (input train)"

    tell(story)


def test_another_schedule_begins_anew_and_a_training_that_is_deleted_leaves_none(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await deploy_training(stage)
        stage.clock.advance(7200)
        await deploy_training(stage, Timing("30 * * * *").document)
        assert planned(stage) == []
        stage.store.resources.delete("training", "fit")
        await stage.wait(2)
        assert stage.store.schedules.select() == []

    tell(story)


def test_a_batch_scores_with_the_version_that_counts_when_its_time_comes(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        model = stage.tree(model__ubj="m")
        stage.store.models.register("price", "shop", model, 1, "xgboost", Lineage(), 1.0)
        batch = Batch(input="/data/{date}", output="/out/{date}/{time}", model="price", schedule=HOURLY)
        await deploy(stage, "batch", "score", asdict(batch))
        stage.store.models.register("price", "shop", model, 1, "xgboost", Lineage(), 2.0)
        await stage.wait(hour(stage) - stage.clock.now() + 1)
        (transform,) = stage.store.transforms.select(batch="score")
        assert (transform.id, transform.spec.model) == ("score-1", "price:2")
        assert "{" not in transform.spec.input + transform.spec.output

    tell(story)


async def deploy_function(stage: Stage, **schedule: Any) -> None:
    function = Function(schedule={**HOURLY, **schedule})
    await stage.deploy("echo", function=function, asynchronous=Asynchronous(attempts=2))


def event(stage: Stage, sequence: int = 1) -> Any:
    return json.loads(stage.store.invocations.content(sequence, result=False))


def test_a_function_is_called_with_its_event_once_for_each_time_as_its_queue_has_it(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await deploy_function(stage, event={"job": "sweep"})
        await stage.wait(hour(stage) - stage.clock.now() + 1)
        await stage.wait(2)
        (queued,) = stage.store.invocations.select("echo")
        assert (queued.status, queued.request.attempts) == (InvocationStatus.IN_QUEUE, 2)
        assert event(stage) == {"job": "sweep"}
        assert stage.sentences("echo")[-1] == f"schedule: started {queued.id}"
        # It was not called yet when the next time comes.
        await stage.wait(3600)
        assert len(stage.store.invocations.select("echo")) == 1
        assert stage.sentences("echo")[-1] == f"schedule: left out: {queued.id} still goes on"
        stage.store.invocations.cancel("echo", queued.id, stage.clock.now())
        await stage.wait(3600)
        assert len(stage.store.invocations.select("echo")) == 2

    tell(story)


def test_a_function_whose_schedule_names_no_event_is_told_the_time_it_is_called_for(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await deploy_function(stage)
        first = hour(stage)
        await stage.wait(first - stage.clock.now() + 30)
        found = event(stage)
        assert (found["source"], found["detail-type"]) == ("aws.events", "Scheduled Event")
        assert found["time"] == "2023-11-14T23:00:00Z"
        assert found["id"] == "schedule-2023-11-14T23:00:00Z"

    tell(story)


def test_a_controller_that_is_killed_before_it_noted_an_event_queues_it_once(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await deploy_function(stage)
        first = hour(stage)
        await stage.wait(first - stage.clock.now() + 1)
        found = stage.store.schedules.get("endpoint", "echo")
        assert found is not None
        stage.store.schedules.put(type(found)("endpoint", "echo", found.timing, found.looked_at, first))
        await stage.restart()
        assert len(stage.store.invocations.select("echo")) == 1

    tell(story)


def test_a_function_that_loses_its_schedule_or_is_deleted_is_called_no_more(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await deploy_function(stage)
        await stage.deploy("echo", function=Function())
        await stage.wait(7200)
        assert stage.store.invocations.select("echo") == []
        await deploy_function(stage)
        stage.store.endpoints.delete("echo", stage.clock.now())
        await stage.wait(7200)
        assert stage.store.invocations.select("echo") == []
        assert stage.store.schedules.select() == []

    tell(story)
