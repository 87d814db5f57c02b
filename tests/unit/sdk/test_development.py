"""What of a yard file's wish holds while somebody works on it."""

from modelyard.manifest.endpoints import EndpointResource
from modelyard.sdk.development import TTL_SECONDS, _as_developed


def test_one_replica_that_goes_by_itself_stands_for_what_scales() -> None:
    scaling = {"autoscaling": {"min_replicas": 2}, "update_strategy": {"type": "canary"}, "timeout_seconds": 5.0}
    found = _as_developed(EndpointResource("price", 1, settings=scaling, predictor={"path": "a.py"}))
    assert found.name == "price-dev"
    assert found.settings == {"replicas": 1, "timeout_seconds": 5.0, "ttl_seconds": TTL_SECONDS}
    assert found.predictor == {"path": "a.py"}


def test_an_app_has_neither_host_nor_port_of_the_real_one_and_holds_nobody_at_the_old_version() -> None:
    app = {"command": ["x"], "hosts": ["board.example.org"], "port": 8501}
    found = _as_developed(EndpointResource("board", 1, settings={"replicas": 0}, app=app))
    assert found.app == {"command": ["x"], "hosts": [], "port": None}
    assert (found.settings["drain_seconds"], found.settings["replicas"]) == (0.0, 1)


def test_a_function_keeps_its_concurrency() -> None:
    settings = {"function": {"concurrency": 3}, "autoscaling": {"max_replicas": 3}}
    found = _as_developed(EndpointResource("mail", 1, settings=settings))
    assert found.settings == {**settings, "ttl_seconds": TTL_SECONDS}
