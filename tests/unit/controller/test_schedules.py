"""Stories of schedules: from the deployed training to the run that the clock started, whoever was killed meanwhile."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from modelyard.domain.batches import Batch
from modelyard.domain.deployments import Wanted
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
