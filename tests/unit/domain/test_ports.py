"""Ports of their own: which are to be opened and closed, what is said of one that cannot be, and where they lead."""

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.hosts import own_address, place_at_port, port_of
from modelyard.domain.ports import cookie_warning, decide_moves, port_note, problem_of

PORTS = st.frozensets(st.integers(1, 30))


@given(wished=PORTS, opened=PORTS, reserved=PORTS)
def test_what_is_wished_is_opened_what_is_not_is_closed_and_the_yards_own_ports_are_let_be(
    wished: frozenset[int], opened: frozenset[int], reserved: frozenset[int]
) -> None:
    moves = decide_moves(wished, opened, reserved)
    after = (opened - set(moves.close)) | set(moves.open)
    assert after == (wished - reserved) | (opened & wished)
    assert set(moves.close) <= opened
    assert not set(moves.open) & (opened | reserved)


@given(name=st.sampled_from(["localhost", "192.168.1.5", "[fe80::1]", "yard.example.com"]), port=st.integers(1, 65535))
def test_a_place_at_a_port_tells_the_port_and_a_name_alone_has_none(name: str, port: int) -> None:
    assert port_of(place_at_port(name, port)) == port
    assert port_of(name) is None


@pytest.mark.parametrize(
    ("origin", "encrypted", "expected"),
    [
        ("http://192.168.1.5:8000", False, "http://192.168.1.5:8501"),
        ("http://127.0.0.1:8400", True, "https://localhost:8501"),
        ("https://yard.example.com", True, "https://yard.example.com:8501"),
        ("http://[::1]:8400", False, "http://localhost:8501"),
        ("http://[fd00::5]:8400", False, "http://[fd00::5]:8501"),
    ],
)
def test_what_has_a_port_is_visited_at_the_name_that_the_yard_was_reached_by(
    origin: str, encrypted: bool, expected: str
) -> None:
    assert own_address(origin, "board", ("board.example.com",), 8501, encrypted=encrypted) == expected


def test_a_port_that_is_not_open_is_told_with_what_helps() -> None:
    taken = problem_of(errno.EADDRINUSE, "Address already in use", 8501)
    assert port_note(8501, taken.sentence) == (
        "port 8501 is not open: another program listens there; end that program, or choose another port; it is tried "
        "again"
    )
    assert "below 1024" in problem_of(errno.EACCES, "Permission denied", 80).reason
    assert "Permission denied" in problem_of(errno.EACCES, "Permission denied", 8501).reason


def test_the_warning_names_each_port() -> None:
    assert cookie_warning({"docs": 8502, "board": 8501}).startswith(
        "board at port 8501, docs at port 8502 share a host"
    )
