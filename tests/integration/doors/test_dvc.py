"""The door for DVC, asked as its client asks, without the client: real files, no network."""

import asyncio
import base64
import errno
import hashlib
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse

from modelyard.clock import ManualClock
from modelyard.domain.disk import Disk
from modelyard.doors.dvc import DvcDoor
from modelyard.doors.mount import Doors
from modelyard.store.memory_access import MemoryKeys, MemoryUsers
from modelyard.store.remotes import DataRemotes

KEY = "the-owner's-key"
CONTENT = b"rows and rows"
MD5 = hashlib.md5(CONTENT).hexdigest()


def place(md5: str = MD5, remote: str = "houses") -> str:
    return f"/dvc/{remote}/files/md5/{md5[:2]}/{md5[2:]}"


def basic(user: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


class Door:
    def __init__(self, root: Path) -> None:
        self.root = root
        keys = MemoryKeys(MemoryUsers())
        keys.put_owner(hashlib.sha256(KEY.encode()).hexdigest(), 1.0)
        self.disk = Disk(free_bytes=1000, total_bytes=2000, limit_bytes=100)
        door = DvcDoor(DataRemotes(root), keys, ManualClock(), lambda: self.disk)
        self.app: Any = Doors(PlainTextResponse("the api"), {"/dvc": door})

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None, **request: Any) -> httpx.Response:
        async def once() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8400") as client:
                given = basic("yard", KEY) if headers is None else headers
                return await client.request(method, path, headers=given, **request)

        return asyncio.run(once())

    def files(self) -> list[str]:
        return sorted(str(one.relative_to(self.root)) for one in self.root.rglob("*") if one.is_file())


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path / "dvc")


async def in_chunks() -> AsyncIterator[bytes]:
    for at in range(0, len(CONTENT), 4):
        yield CONTENT[at : at + 4]


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_an_object_sent_in_chunks_is_there_whole_where_dvc_itself_would_put_it(door: Door, method: str) -> None:
    assert door.ask(method, place(), content=in_chunks()).status_code == 201
    assert door.files() == [place().removeprefix("/dvc/")]
    answer = door.ask("GET", place())
    assert (answer.content, answer.headers["content-type"]) == (CONTENT, "application/octet-stream")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-request-id"]


def test_content_with_another_md5_is_refused_and_nothing_of_it_is_kept(door: Door) -> None:
    answer = door.ask("POST", place(), content=b"other rows")
    assert answer.status_code == 400
    assert answer.text.startswith(f"cannot store {MD5}: the content's MD5 is")
    assert door.files() == []


def test_a_folders_list_is_verified_and_read_by_range(door: Door) -> None:
    assert door.ask("POST", place(f"{MD5}.dir"), content=CONTENT).status_code == 201
    head = door.ask("HEAD", place(f"{MD5}.dir"))
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(CONTENT)), b"")
    part = door.ask("GET", place(f"{MD5}.dir"), {**basic("yard", KEY), "range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, CONTENT[:4])
    assert part.headers["content-range"] == f"bytes 0-3/{len(CONTENT)}"
    assert door.ask("GET", place()).status_code == 404


def test_what_is_missing_and_what_cannot_be_are_not_there(door: Door) -> None:
    for path in (place(), "/dvc/houses/files/md5", "/dvc/houses", "/dvc", place("../../../../key")):
        for method in ("GET", "HEAD"):
            assert door.ask(method, path).status_code == 404, path
    assert door.ask("POST", "/dvc/houses/files/md5/ab/cd", content=b"1").status_code == 404
    assert door.ask("GET", place(remote="no_label")).status_code == 404
    assert door.ask("POST", place(remote="no_label"), content=CONTENT).status_code == 400
    assert door.ask("DELETE", place()).status_code == 405


def test_the_key_comes_as_basic_password_as_bearer_or_in_a_header(door: Door) -> None:
    door.ask("POST", place(), content=CONTENT)
    for good in (basic("yard", KEY), {"x-api-key": KEY}, {"authorization": f"Bearer {KEY}"}):
        assert door.ask("GET", place(), good).status_code == 200
    for bad in ({}, basic("yard", "x"), basic("ada", KEY), {"x-api-key": "x"}, {"authorization": "Basic %%%"}):
        answer = door.ask("GET", place(), bad)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Basic realm="modelyard"')
        assert answer.text.startswith("cannot answer")


def test_a_web_page_cannot_change_a_remote(door: Door) -> None:
    from_a_page = {**basic("yard", KEY), "origin": "http://elsewhere.example"}
    assert door.ask("POST", place(), from_a_page, content=CONTENT).status_code == 403
    assert door.files() == []


def test_a_full_disk_is_said_as_such_and_nothing_is_kept(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    answer = door.ask("POST", place(), content=CONTENT)
    assert answer.status_code == 507
    assert "No space left on device" in answer.text
    assert door.files() == []


def test_while_the_disk_is_nearly_full_objects_are_read_and_none_is_taken(door: Door) -> None:
    door.ask("POST", place(), content=CONTENT)
    door.disk = replace(door.disk, free_bytes=99)
    answer = door.ask("POST", place("0" * 32), content=in_chunks())
    assert (answer.status_code, answer.text.startswith("cannot take the data: the yard's disk has")) == (507, True)
    assert door.ask("GET", place()).content == CONTENT


def test_two_who_send_the_same_object_at_once_both_succeed(door: Door) -> None:
    async def both() -> list[int]:
        transport = httpx.ASGITransport(door.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8400") as client:
            sent = [client.post(place(), headers=basic("yard", KEY), content=in_chunks()) for _ in range(8)]
            return [answer.status_code for answer in await asyncio.gather(*sent)]

    assert asyncio.run(both()) == [201] * 8
    assert len(door.files()) == 1


def test_every_other_path_is_the_apis(door: Door) -> None:
    assert door.ask("GET", "/api/v1/status").text == "the api"
    assert door.ask("GET", "/dvcs").text == "the api"
