"""Stories of transforms: from the wish to the end, beside others."""

from modelyard_worker.transform.plan import read_plan

from modelyard.domain.transforms import Transform, TransformSpec, TransformStatus
from tests.unit.controller.stage import Stage, Tell


class Scoring:
    """Transforms on a stage."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._package = stage.package()

    async def ask(self, name: str, output: str, priority: int = 0) -> str:
        spec = TransformSpec(name, "shop", self._package, "/in", output, priority=priority)
        made = self._stage.store.transforms.create(spec, self._stage.clock.now())
        self._stage.clock.advance(1)
        return made.id

    async def look(self) -> None:
        """Passes, until what they began has ended."""
        for _ in range(3):
            await self._stage.look()
            await self._stage.controller._transforms.settle()

    def see(self, transform: str) -> Transform:
        return self._stage.store.transforms.get(transform)

    async def end(self, transform: str, code: int | None = 0) -> None:
        """Its present process ends; None is without a word."""
        job = self.see(transform).job
        if code is None:
            self._stage.engine.lose_job(job)
        else:
            self._stage.engine.finish_job(job, code)
        await self.look()


def test_of_two_with_one_output_the_second_begins_when_the_first_has_ended(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        scoring = Scoring(stage)
        first = await scoring.ask("score", "/out")
        second = await scoring.ask("score", "/out/", priority=9)
        other = await scoring.ask("score", "/elsewhere")
        await scoring.look()
        # The priority decides who is first; whoever is has the output until its end.
        assert [scoring.see(one).attempt for one in (first, second, other)] == [0, 1, 1]
        assert scoring.see(first).waiting == f"transform/{second} goes on, and writes to /out too"
        await scoring.end(second, None)
        assert [scoring.see(one).attempt for one in (first, second)] == [0, 2]
        await scoring.end(second)
        assert scoring.see(second).status is TransformStatus.COMPLETED
        assert scoring.see(first).attempt == 1
        assert scoring.see(first).waiting is None

    tell(story)


def test_one_that_waits_for_an_output_keeps_nobody_out_and_is_stopped_at_once(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        scoring = Scoring(stage)
        first, second = [await scoring.ask("score", "/out") for _ in range(2)]
        await scoring.look()
        stage.store.transforms.request_stop(second)
        await scoring.look()
        assert scoring.see(second).status is TransformStatus.STOPPED
        third = await scoring.ask("score", "/out")
        await scoring.end(first)
        assert scoring.see(third).attempt == 1

    tell(story)


def test_the_code_of_a_job_is_told_of_it_in_cortexs_words(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        submitted = {"workers": 2, "config": {"k": 3}, "total_batch_count": 5}
        spec = TransformSpec("score", "shop", stage.package(), "/in", "/out", batch="score", submitted=submitted)
        stage.store.transforms.create(spec, stage.clock.now())
        await Scoring(stage).look()
        told = read_plan(str(stage.home.transforms / "score-1")).job or {}
        assert {name: told[name] for name in submitted} == submitted
        assert (told["job_id"], told["api_name"], told["kind"]) == ("score-1", "score", "BatchAPI")

    tell(story)
