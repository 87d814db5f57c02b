"""Sites at origins of their own: a real gateway in front of folders as the controller lays them out."""

import gzip
import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import brotli
import httpx
import pytest
from modelyard_worker.records import write_json

from modelyard.protocol.sites import SiteFile, SiteManifest, manifest_document
from modelyard.protocol.table import HostEntry, Table, table_document
from modelyard.settings import Home
from tests.integration.gateway.test_load_reports import ScriptedController

PAGES = {
    "index.html": b"<h1>home</h1>" * 200,
    "about/index.html": b"<h1>about</h1>",
    "404.html": b"<h1>nothing here</h1>",
    "data.bin": bytes(range(256)) * 4096,
    "app.js": b"let a = 1;" * 300,
}


def lay_out(folder: Path, pages: dict[str, bytes], **more: Any) -> HostEntry:
    contents = folder / "contents"
    contents.mkdir(exist_ok=True)
    files: dict[str, SiteFile] = {}
    for path, content in pages.items():
        digest = hashlib.sha256(content).hexdigest()
        (contents / digest).write_bytes(content)
        packed = gzip.compress(content) if path.endswith((".html", ".js")) else None
        smaller = brotli.compress(content) if path.endswith(".html") else None
        for suffix, made in (("gz", packed), ("br", smaller)):
            if made is not None:
                (contents / f"{digest}.{suffix}").write_bytes(made)
        kind = "text/html; charset=utf-8" if path.endswith(".html") else "application/octet-stream"
        sizes = [len(made) if made is not None else None for made in (packed, smaller)]
        files[path] = SiteFile(digest, len(content), kind, *sizes)
    options: dict[str, Any] = {
        "index": "index.html",
        "error": "404.html",
        "spa": False,
        "cors": (),
        "cache_seconds": 0.0,
        **more,
    }
    manifest = folder / "docs-1.json"
    write_json(str(manifest), manifest_document(SiteManifest(str(contents), files=files, **options)))
    return HostEntry("site", "docs", site=str(manifest))


@pytest.fixture
def served(gateway: Any, tmp_path: Path) -> Callable[..., httpx.Client]:
    def start(**more: Any) -> httpx.Client:
        gateway.start(hosts=[lay_out(tmp_path, PAGES, **more)])
        return httpx.Client(base_url=gateway.url, headers={"host": "docs.localhost"}, timeout=10)

    return start


def test_a_site_shows_its_pages_and_its_own_page_for_what_is_not_there(served: Any) -> None:
    with served() as client:
        home = client.get("/")
        assert (home.status_code, home.content) == (200, PAGES["index.html"])
        assert home.headers["vary"] == "accept-encoding"
        folder = client.get("/about")
        assert (folder.status_code, folder.headers["location"]) == (308, "/about/")
        assert client.get("/about/").content == PAGES["about/index.html"]
        nothing = client.get("/nothing")
        assert (nothing.status_code, nothing.content) == (404, PAGES["404.html"])
        head = client.head("/data.bin")
        assert (head.content, head.headers["content-length"]) == (b"", str(len(PAGES["data.bin"])))
        assert client.post("/").status_code == 405


@pytest.mark.parametrize(
    ("accepts", "page", "script"),
    [
        ("gzip, deflate, br, zstd", "br", "gzip"),
        ("gzip", "gzip", "gzip"),
        ("br;q=0, *", "gzip", "gzip"),
        ("br;q=0.5, gzip;q=0.000", "br", None),
        ("*;q=0", None, None),
        ("identity", None, None),
    ],
)
def test_whoever_takes_it_gets_the_smallest_form(
    served: Any, accepts: str, page: str | None, script: str | None
) -> None:
    with served() as client:
        for path, coding in (("/", page), ("/app.js", script), ("/data.bin", None)):
            found = client.get(path, headers={"accept-encoding": accepts})
            assert (path, found.headers.get("content-encoding")) == (path, coding)
            assert found.content == PAGES[path.removeprefix("/") or "index.html"]
            again = client.get(path, headers={"accept-encoding": accepts, "if-none-match": found.headers["etag"]})
            assert again.status_code == 304
        part = client.get("/", headers={"accept-encoding": accepts, "range": "bytes=0-3"})
        assert (part.status_code, part.content) == (206, b"<h1>"), "of the file as it is"


@pytest.mark.parametrize(
    "path", ["/../docs-1.json", "/%2e%2e/docs-1.json", "/..%2fdocs-1.json", "//etc/passwd", "/a\\b"]
)
def test_no_path_leads_out_of_the_folder(served: Any, gateway: Any, path: str) -> None:
    with served():
        connection = gateway.connect()
        connection.sendall(f"GET {path} HTTP/1.1\r\nhost: docs.localhost\r\nconnection: close\r\n\r\n".encode())
        received = b""
        while data := connection.recv(65536):
            received += data
    assert received.startswith(b"HTTP/1.1 404")


def test_the_same_words_get_the_same_answer_as_long_as_the_site_is_the_same(
    served: Any, gateway: Any, home: Home, tmp_path: Path
) -> None:
    controller = ScriptedController(home)
    with served() as client:
        controller.accept()
        first, second = (client.get("/") for _ in range(2))
        own = client.get("/", headers={"x-request-id": "me-1"})
        assert (first.content, second.content, own.content) == (PAGES["index.html"],) * 3
        assert first.headers["x-request-id"] != second.headers["x-request-id"]
        assert own.headers["x-request-id"] == client.get("/", headers={"x-request-id": "me-1"}).headers["x-request-id"]
        same = {name: value for name, value in first.headers.items() if name not in ("x-request-id", "date")}
        assert same.items() <= second.headers.items()
        with gateway.connect() as connection:
            connection.sendall(b"GET /about/ HTTP/1.1\r\nhost: docs.localhost\r\n\r\n" * 2)
            received = b""
            while received.count(PAGES["about/index.html"]) < 2:
                received += connection.recv(65536)
        (tmp_path / "new").mkdir()
        changed = lay_out(tmp_path / "new", PAGES | {"index.html": b"<h1>new</h1>"})
        controller.say({"type": "snapshot", "table": table_document(Table(200, {}, {"site/docs": changed}))})
        limit = time.monotonic() + 15
        while client.get("/").content != b"<h1>new</h1>":
            assert time.monotonic() < limit, "another table, another answer"
        private = replace(changed, access={"way": "key"})
        controller.say({"type": "snapshot", "table": table_document(Table(201, {}, {"site/docs": private}))})
        while client.get("/").status_code != 401:
            assert time.monotonic() < limit, "who may come in counts at once"
    controller.close()


def test_what_a_browser_has_is_not_sent_again(served: Any) -> None:
    with served(cache_seconds=60.0) as client:
        first = client.get("/app.js")
        assert first.headers["cache-control"] == "max-age=60"
        tag = first.headers["etag"]
        for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            again = client.get("/app.js", headers={"if-none-match": known})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        plain = client.get("/app.js", headers={"accept-encoding": "identity", "if-none-match": tag})
        assert (plain.status_code, plain.content) == (200, PAGES["app.js"])


@pytest.mark.parametrize(
    ("asked", "status", "start", "end"),
    [
        ("bytes=0-99", 206, 0, 100),
        ("bytes=1048000-", 206, 1_048_000, 1_048_576),
        ("bytes=-5", 206, 1_048_571, 1_048_576),
        ("bytes=0-1,5-6", 200, 0, 1_048_576),
        ("bytes=5-1", 200, 0, 1_048_576),
        (f"bytes={'9' * 5000}-", 200, 0, 1_048_576),
    ],
)
def test_a_part_of_a_file_is_sent_where_one_is_asked_for(
    served: Any, asked: str, status: int, start: int, end: int
) -> None:
    with served() as client:
        answer = client.get("/data.bin", headers={"range": asked})
        assert (answer.status_code, answer.content) == (status, PAGES["data.bin"][start:end])
        if status == 206:
            assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/1048576"
        assert client.get("/data.bin", headers={"range": "bytes=2000000-"}).status_code == 416


def test_one_page_that_finds_its_way_by_itself_is_shown_for_every_page(served: Any) -> None:
    with served(spa=True, error=None) as client:
        page = client.get("/users/7", headers={"accept": "text/html"})
        assert (page.status_code, page.content) == (200, PAGES["index.html"])
        assert client.get("/users/7", headers={"accept": "*/*"}).status_code == 404, "whatever pages are shown there"


def test_pages_of_other_origins_read_what_they_are_let_to(served: Any) -> None:
    with served(cors=("https://shop.example",)) as client:
        mine = client.get("/app.js", headers={"origin": "https://shop.example"})
        assert mine.headers["access-control-allow-origin"] == "https://shop.example"
        assert "access-control-allow-origin" not in client.get("/", headers={"origin": "https://x.example"}).headers
        asked = client.options("/app.js", headers={"origin": "https://shop.example"})
        assert (asked.status_code, asked.headers["access-control-allow-methods"]) == (204, "GET, HEAD")
