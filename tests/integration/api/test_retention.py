import os

from modelyard.store.file_locks import shared
from tests.integration.api.yard_over_http import Api, refusal

THEN = 1.0


def age(api: Api) -> None:
    """Everything in the store was asked for long ago."""
    for path in api.home.artifacts.glob("*/*"):
        os.utime(path, (THEN, THEN))


def test_what_would_go_is_shown_and_then_goes(api: Api) -> None:
    api.register()
    orphan = api.tree({"orphan.bin": b"x" * 1000})
    age(api)
    shown = api.post("/retention", {"dry_run": True}).json()
    assert (shown["dry_run"], shown["size_bytes"] > 1000) == (True, True)
    assert {one["kind"] for one in shown["surplus"]} == {"artifact"}
    assert orphan in {one["name"] for one in shown["surplus"]}
    freed = api.post("/retention", {}).json()
    assert freed["surplus"] == shown["surplus"]
    assert api.post("/artifacts/missing", {"digests": [orphan]}).json() == {"missing": [orphan]}
    assert api.deploy({"name": "price", "model": {"reference": "price"}}).status_code == 200


def test_while_a_backup_is_written_nothing_is_freed(api: Api) -> None:
    with shared(api.home.retention_lock):
        refusal(api.post("/retention", {}), 503, "not_ready")


def test_freeing_wants_the_key(api: Api) -> None:
    refusal(api.post("/retention", {}, key=None), 401, "unauthorized")
