"""Which lane, which replica, which host: the gateway's pure choices."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.errors import PredictorFailed, QueueFull
from modelyard.gateway.answers import SANDBOX, answer_head, prediction_error
from modelyard.gateway.balancer import least_in_flight
from modelyard.gateway.router import Lane, route


@dataclass
class Target:
    in_flight: int
    capacity: int
    leaving: bool = False


@given(st.lists(st.builds(Target, st.integers(0, 9), st.integers(1, 9), st.booleans())))
def test_the_chosen_target_has_room_and_none_with_room_has_fewer_in_flight(targets: list[Target]) -> None:
    chosen = least_in_flight(targets)
    able = [one for one in targets if one.in_flight < one.capacity and not one.leaving]
    if chosen is None:
        assert able == []
    else:
        assert chosen in able
        assert chosen.in_flight == min(one.in_flight for one in able)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"/endpoints/Price/invocations", (Lane.PREDICTION, "price", False)),
        (b"/aws/endpoints/price/invocations", (Lane.PREDICTION, "price", True)),
        (b"/endpoints/price/invocations/", (Lane.CONTROL, "", False)),
        (b"/endpoints/pri%63e/invocations", (Lane.CONTROL, "", False)),
        (b"/endpoints/../invocations", (Lane.CONTROL, "", False)),
        (b"/healthz", (Lane.HEALTH, "", False)),
        (b"/metrics", (Lane.METRICS, "", False)),
        (b"/api/v1/endpoints", (Lane.CONTROL, "", False)),
    ],
)
def test_the_raw_path_says_where_a_request_goes(path: bytes, expected: tuple[Lane, str, bool]) -> None:
    assert route(path) == expected


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_predictor_cannot_break_out_of_a_header_line(name: str, value: str) -> None:
    _, head = answer_head({"status": 200, "type": value, "headers": [[name, value]]}, 1)
    lines = head.replace(SANDBOX, b"").split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 200 OK"
    assert 4 <= len(lines) <= 5
    assert b"\n" not in b"".join(lines)
    assert b"\r" not in b"".join(lines)


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "Connection", "X-Request-Id"])
def test_a_predictor_cannot_set_what_frames_the_message(name: str) -> None:
    _, head = answer_head({"status": 200, "headers": [[name, "1"]]}, 1)
    assert name.lower().encode() not in head


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "Text/HTML", "image/svg+xml", "application/xhtml+xml"])
def test_a_page_is_put_into_a_sandbox_whatever_it_says_itself(kind: str) -> None:
    policy = ["content-security-policy", "default-src *"]
    _, head = answer_head({"status": 200, "type": kind, "headers": [policy]}, 1)
    assert b"content-security-policy: sandbox allow-scripts" in head


@pytest.mark.parametrize("kind", ["application/json", "text/plain", None])
def test_what_no_browser_runs_is_in_none(kind: str | None) -> None:
    _, head = answer_head({"status": 200, "type": kind}, 1)
    assert b"sandbox" not in head


def test_a_full_queue_tells_when_to_try_again() -> None:
    status, head, _ = prediction_error(QueueFull("cannot take it"), "id", signed=False)
    assert status == 503
    assert b"retry-after: 1\r\n" in head


def test_a_status_that_the_predictor_gave_its_error_is_kept_for_those_who_do_not_sign() -> None:
    error = PredictorFailed("cannot predict")
    assert prediction_error(error, "id", signed=False, predictor_status=418)[0] == 418
    assert prediction_error(error, "id", signed=True, predictor_status=418)[0] == 424
