"""What gateways count is recorded once, whoever dies in between."""

from typing import Any

from modelyard.controller.metrics import DEAD, RETURN_SECONDS
from modelyard.domain.metrics import Figures, MetricRecord
from modelyard.protocol.metrics import EndpointMetrics, GatewayMetrics, metrics_document
from tests.unit.controller.stage import Stage, Tell


def report(answers: int, version: int = 1, in_flight: int = 0, **more: Any) -> dict[str, Any]:
    """As a gateway tells that it has answered so many in all."""
    figures = Figures()
    for _ in range(answers):
        figures.count_call(200, 0.02, 0.005, 0.01, 1)
    endpoint = EndpointMetrics("Iris", {version: figures}, in_flight=in_flight)
    return {"type": "metrics", "metrics": metrics_document(GatewayMetrics({"iris": endpoint}, 3, {200: 2})), **more}


def recorded(stage: Stage) -> list[MetricRecord]:
    return list(stage.store.metrics.select("iris"))


def answered(stage: Stage) -> int:
    return sum(one.figures.requests for one in recorded(stage))


def test_what_several_gateways_counted_is_one_record_for_each_version(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        metrics = stage.controller.metrics
        for gateway in ("a", "b"):
            metrics.gateway_came(gateway, gateway)
            metrics.take(gateway, report(3, in_flight=2))
        await stage.wait(5.0)
        [record] = recorded(stage)
        assert (record.figures.answers, record.version, record.seconds) == ({200: 6}, 1, 5.0)
        assert record.in_flight == 4.0
        metrics.take("a", report(4))
        metrics.take("b", report(3, in_flight=0))
        await stage.wait(5.0)
        assert [one.figures.requests for one in recorded(stage)] == [6, 1]

    tell(story)


def test_a_controller_that_comes_after_a_dead_one_records_nothing_twice_and_leaves_nothing_out(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        stage.controller.metrics.gateway_came("a", "a")
        stage.controller.metrics.take("a", report(3))
        await stage.wait(5.0)
        stage.controller.metrics.take("a", report(4))
        await stage.restart()
        stage.controller.metrics.gateway_came("a again", "a")
        stage.controller.metrics.take("a again", report(9))
        await stage.wait(5.0)
        assert answered(stage) == 9

    tell(story)


def test_what_a_gateway_counted_that_is_gone_stays_counted(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        metrics = stage.controller.metrics
        metrics.gateway_came("a", "a")
        metrics.take("a", report(3))
        metrics.gateway_left("a")
        await stage.wait(RETURN_SECONDS + 5.0)
        metrics.gateway_came("b", "b")
        metrics.take("b", report(2))
        await stage.wait(5.0)
        assert answered(stage) == 5
        assert {place[0] for place in stage.store.metrics.totals()} == {DEAD, "b"}
        assert 'modelyard_requests_total{endpoint="Iris",version="1",status="200"} 5' in metrics.text()
        assert "modelyard_gateways 1" in metrics.text()

    tell(story)


def test_a_gateway_that_comes_back_goes_on_from_what_it_had_counted(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        metrics = stage.controller.metrics
        metrics.gateway_came("a", "a")
        metrics.take("a", report(3))
        await stage.wait(5.0)
        metrics.gateway_left("a")
        metrics.gateway_came("a again", "a")
        metrics.take("a again", report(4))
        await stage.wait(5.0)
        assert answered(stage) == 4

    tell(story)


def test_an_endpoint_that_begins_anew_is_counted_from_its_beginning(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        metrics = stage.controller.metrics
        metrics.gateway_came("a", "a")
        metrics.take("a", report(30))
        await stage.wait(5.0)
        metrics.forget("Iris")
        assert recorded(stage) == []
        metrics.take("a", report(2))
        await stage.wait(5.0)
        assert answered(stage) == 2

    tell(story)


def test_a_scrape_counts_what_came_with_the_question(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.deploy("iris")
        metrics = stage.controller.metrics
        metrics.gateway_came("a", "a")
        assert metrics.take("a", report(1)) == []
        parts = metrics.take("a", report(7, scrape=5))
        assert [one["last"] for one in parts] == [False] * (len(parts) - 1) + [True]
        text = "".join(one["text"] for one in parts)
        assert 'modelyard_requests_total{endpoint="iris",version="1",status="200"} 7' in text
        assert 'modelyard_ready_replicas{endpoint="iris"} 1' in text
        assert 'modelyard_control_requests_total{status="200"} 2' in text

    tell(story)


def test_nothing_is_recorded_of_an_endpoint_that_nobody_asks(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        stage.controller.metrics.gateway_came("a", "a")
        stage.controller.metrics.take("a", report(1))
        await stage.wait(5.0)
        for _ in range(3):
            await stage.wait(5.0)
        assert len(recorded(stage)) == 1

    tell(story)
