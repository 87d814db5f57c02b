"""Peers: each has what builds it, and every protocol says the same rows."""

import re

import pytest

from bench.serving.cases import CASES
from bench.serving.servers import PEERS, PEERS_FOLDER
from bench.serving.shapes import INSTANCES, NAMED, OPEN_INFERENCE, PLAIN, Shape

ENVIRONMENTS = sorted({peer.environment for peer in PEERS.values() if peer.environment is not None})


def test_every_peer_of_a_case_is_known() -> None:
    assert {name for case in CASES for name in case.peers} == PEERS.keys()


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_peer_s_lock_has_hashes_and_everything_that_it_asks_for(name: str) -> None:
    asked = (PEERS_FOLDER / name / "requirements.in").read_text().splitlines()
    lock = (PEERS_FOLDER / name / "requirements.txt").read_text()
    for line in asked:
        if line.startswith("#"):
            continue
        project = re.split(r"[\[<=>]", line)[0]
        assert re.search(rf"^{re.escape(project)}(\[.*\])?==.* \\\n    --hash=sha256:", lock, re.MULTILINE), project


@pytest.mark.parametrize(
    ("shape", "document", "answer"),
    [
        (PLAIN, b"[[1.0,2.0]]", b"[3.5]"),
        (NAMED, b'{"rows":[[1.0,2.0]]}', b"[3.5]"),
        (INSTANCES, b'{"instances":[[1.0,2.0]]}', b'{"predictions":[3.5]}'),
        (
            OPEN_INFERENCE,
            b'{"inputs":[{"name":"rows","shape":[1,2],"datatype":"FP64","data":[1.0,2.0]}]}',
            b'{"outputs":[{"data":[3.5]}]}',
        ),
    ],
)
def test_every_protocol_says_the_same_rows_and_values(shape: Shape, document: bytes, answer: bytes) -> None:
    assert shape.body([[1.0, 2.0]]) == document
    assert shape.values(answer) == [3.5]


@pytest.mark.parametrize("answer", [b'{"detail":"no"}', b"{}", b"[", b"3.5"])
def test_an_answer_of_another_shape_is_refused(answer: bytes) -> None:
    for shape in (PLAIN, OPEN_INFERENCE, INSTANCES):
        with pytest.raises(ValueError):
            shape.values(answer)
