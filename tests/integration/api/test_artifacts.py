"""Files come in by their digest, once."""

import hashlib

from tests.integration.api.yard_over_http import Api, refusal


def test_what_is_missing_is_asked_for_sent_and_then_there(api: Api) -> None:
    content = b"rows" * 1000
    sha256 = hashlib.sha256(content).hexdigest()
    assert api.post("/artifacts/missing", {"digests": [sha256]}).json() == {"missing": [sha256]}
    answer = api.ask("PUT", f"/api/v1/artifacts/{sha256}", content=content)
    assert (answer.status_code, answer.json()) == (201, {"sha256": sha256, "size_bytes": 4000})
    assert api.post("/artifacts/missing", {"digests": [sha256]}).json() == {"missing": []}


def test_content_of_another_digest_is_refused_and_not_kept(api: Api) -> None:
    sha256 = "0" * 64
    refusal(api.ask("PUT", f"/api/v1/artifacts/{sha256}", content=b"x"), 400, "invalid_value")
    assert api.artifacts.missing([sha256]) == [sha256]
    refusal(api.ask("PUT", "/api/v1/artifacts/..%2f..%2fkey", content=b"x"), 404, "not_found")
    refusal(api.ask("PUT", "/api/v1/artifacts/zz", content=b"x"), 400, "invalid_value")


def test_artifacts_may_be_larger_than_other_bodies(api: Api) -> None:
    content = b"\0" * (9 * 2**20)
    sha256 = hashlib.sha256(content).hexdigest()
    assert api.ask("PUT", f"/api/v1/artifacts/{sha256}", content=content).status_code == 201


def test_a_tree_needs_its_files_and_good_paths(api: Api) -> None:
    entry = {"path": "a.txt", "sha256": "0" * 64, "size_bytes": 1}
    refusal(api.post("/trees", {"files": [entry]}), 404, "not_found")
    api.tree({"a.txt": b"a"})
    bad = {"path": "../a.txt", "sha256": hashlib.sha256(b"a").hexdigest(), "size_bytes": 1}
    refusal(api.post("/trees", {"files": [bad]}), 400, "invalid_value")
