"""Sites are laid out, changed at once, and freed of what nobody needs any more."""

import asyncio
from pathlib import Path

from modelyard.clock import ManualClock
from modelyard.controller.sites import KEPT_SECONDS, SitesPass
from modelyard.domain.deployments import Wanted
from modelyard.domain.resources import ResourceName
from modelyard.protocol.sites import read_manifest
from modelyard.store.artifacts import FileArtifacts
from modelyard.store.memory import MemoryStore
from modelyard.store.ports import TreeFile

DOCS = ResourceName("site", "Docs")
KEY = "site/docs"


class Sites:
    """The pass over a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.store, self.artifacts = ManualClock(), MemoryStore(), FileArtifacts(folder / "artifacts")
        self.folder = folder / "sites"
        self.make()

    def make(self) -> None:
        """As a controller does that starts."""
        self.sites = SitesPass(self.store, self.artifacts, self.folder, self.clock, lambda: None)

    def deploy(self, **pages: str) -> None:
        files: list[TreeFile] = []
        for name, text in pages.items():
            content = text.encode()
            files.append(TreeFile(f"{name}.html", self.artifacts.put_bytes(content), len(content)))
        spec = {"tree": self.artifacts.put_tree(files)}
        self.store.deployments.apply("shop", Wanted({}, {DOCS: spec}), self.clock.now())

    async def settle(self) -> str:
        """Passes until nothing is under way; the table that is served."""
        entries = self.sites()
        while self.sites._under_way or self.sites._freeing is not None:
            await asyncio.sleep(0)
            entries = self.sites()
        return Path(str(entries[KEY].site)).name

    def texts(self, table: str) -> set[str]:
        contents = self.folder / "contents"
        return {(contents / one.sha256).read_text() for one in read_manifest(self.folder / table).files.values()}

    @property
    def lies_there(self) -> int:
        return len(list((self.folder / "contents").iterdir()))


def test_what_no_served_version_needs_goes_after_a_while_and_a_rollback_brings_it_back(tmp_path: Path) -> None:
    async def story() -> None:
        sites = Sites(tmp_path)
        sites.deploy(index="home", news="old")
        assert sites.texts(await sites.settle()) == {"home", "old"}
        sites.deploy(index="home", news="new" * 1000)
        assert await sites.settle() == "docs-2.json"
        assert sites.texts("docs-1.json") == {"home", "old"}, "who rolls back now finds it"
        sites.clock.advance(KEPT_SECONDS)
        assert await sites.settle() == "docs-2.json"
        assert not (sites.folder / "docs-1.json").exists()
        assert (sites.texts("docs-2.json"), sites.lies_there) == ({"home", "new" * 1000}, 4), "one compressed, twice"
        sites.deploy(index="home", news="old")
        assert sites.texts(await sites.settle()) == {"home", "old"}

    asyncio.run(story())


def test_a_controller_that_starts_anew_frees_what_its_predecessor_left(tmp_path: Path) -> None:
    async def story() -> None:
        sites = Sites(tmp_path)
        for text in ("one", "two", "three"):
            sites.deploy(index=text)
            await sites.settle()
        sites.make()
        await sites.settle()
        assert sites.lies_there == 3
        sites.clock.advance(KEPT_SECONDS)
        served = await sites.settle()
        assert (sites.texts(served), sites.lies_there) == ({"three"}, 1)

    asyncio.run(story())
