"""An endpoint's logs are its replicas'."""

import asyncio
import json
from pathlib import Path

import httpx

from tests.integration.api.yard_over_http import KEY, Api, refusal


def replica(api: Api, name: str, output: str, endpoint: str = "price", *, ended: bool = False) -> Path:
    folder = api.home.engine / "replicas" / name
    folder.mkdir(parents=True)
    (folder / "order.json").write_text(json.dumps({"id": name, "endpoint": endpoint}))
    (folder / "output.log").write_text(output)
    if ended:
        (folder / "exit.json").write_text("{}")
    return folder


def deployed(api: Api) -> None:
    api.register()
    api.deploy({"name": "price", "model": {"reference": "price"}})


def test_one_replica_speaks_for_itself_and_several_say_who_they_are(api: Api) -> None:
    deployed(api)
    replica(api, "price-1-a", "one\ntwo\n")
    replica(api, "other-1-a", "not mine\n", "other")
    assert api.get("/endpoints/Price/logs").text == "one\ntwo\n"
    replica(api, "price-1-b", "three")
    text = api.get("/endpoints/price/logs?lines=2").text
    assert text.splitlines() == ["price-1-a two", "price-1-b three"]
    refusal(api.get("/endpoints/prize/logs"), 404, "not_found")


def test_following_ends_when_the_endpoint_is_gone(api: Api) -> None:
    deployed(api)
    first = replica(api, "price-1-a", "one\n")

    async def follow(client: httpx.AsyncClient) -> str:
        async def end() -> None:
            with (first / "output.log").open("a") as file:
                file.write("two\nno line end")
            (first / "exit.json").write_text("{}")
            api.store.endpoints.delete("price", api.clock.now())
            api.store.endpoints.remove("price")

        asking = asyncio.create_task(client.get("/api/v1/endpoints/price/logs?follow=true", headers={"x-api-key": KEY}))
        await asyncio.sleep(0)
        await asyncio.create_task(end())
        return (await asking).text

    # The endpoint may be gone before the request is read; what matters is that it ends.
    text = api.talk(follow)
    assert text.endswith("two\nno line end\n") or "not_found" in text


def stamped(second: int, level: str, request: str, text: str) -> str:
    return f"2023-11-14T22:13:{second:02d}.000Z {level} {request} {text}\n"


def talkative(api: Api) -> None:
    """Two replicas that took turns; the clock of these tests stands at 22:13:20."""
    deployed(api)
    replica(api, "price-1-a", stamped(1, "INFO", "r1", "one") + stamped(5, "ERROR", "r2,r3", "three") + "past python\n")
    replica(api, "price-1-b", stamped(3, "WARNING", "-", "two"))


def texts(api: Api, query: str) -> list[str]:
    answer = api.get(f"/endpoints/price/logs?format=json&{query}")
    assert answer.status_code == 200, answer.text
    return [json.loads(line)["text"] for line in answer.text.splitlines()]


def test_lines_of_several_replicas_come_in_the_order_of_their_times(api: Api) -> None:
    talkative(api)
    assert texts(api, "") == ["one", "two", "three", "past python"]
    assert texts(api, "lines=2") == ["three", "past python"]
    assert texts(api, "lines=0") == []
    first = api.get("/endpoints/price/logs").text.splitlines()[0]
    assert first == "price-1-a 2023-11-14T22:13:01.000Z INFO r1 one"


def test_lines_are_chosen_by_replica_level_time_and_request(api: Api) -> None:
    talkative(api)
    assert texts(api, "replica=price-1-b") == ["two"]
    assert texts(api, "level=WARNING") == ["two", "three", "past python"]
    assert texts(api, "since=16s") == ["three", "past python"]
    assert texts(api, "since=2023-11-14T22:13:02Z") == ["two", "three", "past python"]
    assert texts(api, "since=2023-11-14T23:13:02%2B01:00") == ["two", "three", "past python"]
    assert texts(api, "request=r3") == ["three", "past python"]
    assert texts(api, "request=r9") == []


def test_a_line_as_json_says_everything_about_itself(api: Api) -> None:
    talkative(api)
    line = api.get("/endpoints/price/logs?format=json&request=r2").text.splitlines()[0]
    assert json.loads(line) == {
        "replica": "price-1-a",
        "at": "2023-11-14T22:13:05.000Z",
        "level": "ERROR",
        "requests": ["r2", "r3"],
        "text": "three",
    }


def test_a_choice_that_cannot_be_is_refused(api: Api) -> None:
    talkative(api)
    hint = refusal(api.get("/endpoints/price/logs?replica=price-1-c"), 404, "not_found")["hint"]
    assert "price-1-" in hint
    assert "level" in refusal(api.get("/endpoints/price/logs?level=LOUD"), 400, "invalid_value")["message"]
    assert "soon" in refusal(api.get("/endpoints/price/logs?since=soon"), 400, "invalid_value")["message"]
    assert "levle" in refusal(api.get("/endpoints/price/logs?levle=INFO"), 400, "invalid_value")["message"]
