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
    text = api.get("/endpoints/price/logs?lines=1").text
    assert sorted(text.splitlines()) == ["price-1-a two", "price-1-b three"]
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
