"""A site through real processes: deployed, changed and rolled back while people read it, and nobody sees a mixture."""

import threading
import time
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from tests.acceptance.yard import Yard, eventually

pytestmark = pytest.mark.acceptance

OWN = "docs.example.com"
FILE = f"- {{name: docs, kind: site, path: pages, hosts: [{OWN}]}}\n"
LIMIT_SECONDS = 30


class Readers:
    """People who read one page over and over, each on a connection of their own, and note what they saw."""

    def __init__(self, url: str, host: str, readers: int = 3) -> None:
        self.seen: list[list[Any]] = [[] for _ in range(readers)]
        self._url, self._host = url, host
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._read, args=(one,), daemon=True) for one in self.seen]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(LIMIT_SECONDS)

    def _read(self, seen: list[Any]) -> None:
        with httpx.Client(base_url=self._url, headers={"host": self._host}, timeout=LIMIT_SECONDS) as client:
            while not self._stop.is_set():
                try:
                    answer = client.get("/")
                    saw: Any = answer.text if answer.is_success else answer.status_code
                except httpx.HTTPError as error:
                    saw = repr(error)
                if not seen or seen[-1] != saw:
                    seen.append(saw)
                time.sleep(0.002)  # as people do, and so that the yard has the machine too


def deploy(yard: Yard, folder: Path, text: str) -> None:
    (folder / "pages").mkdir(exist_ok=True)
    (folder / "pages" / "index.html").write_text(f"<title>Docs</title>{text}")
    (folder / "pages" / "same.txt").write_text("always the same")
    (folder / "modelyard.yaml").write_text(FILE)
    done = yard.command("deploy", str(folder / "modelyard.yaml"))
    assert done.returncode == 0, done.stderr


def test_readers_of_a_site_see_one_version_and_then_the_other_and_the_first_again(yard: Yard, tmp_path: Path) -> None:
    deploy(yard, tmp_path, "one")

    def page(path: str = "/", host: str = "docs.localhost", **headers: str) -> httpx.Response:
        return httpx.get(f"{yard.url}{path}", headers={"host": host, **headers}, timeout=LIMIT_SECONDS)

    eventually(lambda: page().text.endswith("one"))
    first = page()
    assert page(host=OWN).text == first.text, "a host name of its own"
    assert page(**{"if-none-match": first.headers["etag"]}).status_code == 304
    part = page("/same.txt", range="bytes=0-5")
    assert (part.status_code, part.text) == (206, "always")
    with Readers(yard.url, "docs.localhost") as readers:
        deploy(yard, tmp_path, "two")
        eventually(lambda: page().text.endswith("two"))
        assert yard.command("rollback", "site/docs").returncode == 0
        eventually(lambda: page().text.endswith("one"))
    one, two = first.text, first.text.replace("one", "two")
    for seen in readers.seen:
        assert seen in ([one, two, one], [one, two]), "no error, no version that comes back by itself"
    assert page().headers["etag"] == first.headers["etag"]

    foreign = page(host="evil.example")
    assert foreign.status_code == 403
    owner = {"authorization": f"Bearer {yard.key}"}
    tried = eventually(
        lambda: httpx.get(f"{yard.url}/api/v1/audit", params={"text": "evil.example"}, headers=owner).json()["entries"]
    )
    assert [(one["outcome"], one["request_id"]) for one in tried] == [
        ("403 forbidden", foreign.headers["x-request-id"])
    ]
