"""What a model with several outputs answered, as each content type has it."""

import numpy as np
import pytest
from modelyard_worker import media
from modelyard_worker.outputs import choose_outputs, write_outputs
from modelyard_worker.request import Refusal

PREDICTED = {"label": np.array([1, 0, 1]), "share": np.array([[0.25, 0.75], [1.0, 0.0], [0.5, 0.5]])}


@pytest.mark.parametrize(
    ("accept", "bodies"),
    [
        ("", [b'{"label":[1],"share":[[0.25,0.75]]}', b'{"label":[0,1],"share":[[1.0,0.0],[0.5,0.5]]}']),
        (media.CSV, [b"1,0.25,0.75", b"0,1.0,0.0\n1,0.5,0.5"]),
        (
            media.LINES,
            [
                b'{"label":1,"share":[0.25,0.75]}\n',
                b'{"label":0,"share":[1.0,0.0]}\n{"label":1,"share":[0.5,0.5]}\n',
            ],
        ),
    ],
)
def test_each_request_has_its_own_rows_of_every_output(accept: str, bodies: list[bytes]) -> None:
    assert write_outputs(choose_outputs(accept), PREDICTED, [1, 2]) == bodies


def test_a_row_of_csv_holds_what_is_nested_in_its_outputs() -> None:
    predicted = {"label": ["a", "b"], "share": [{"a": 0.5, "b": 0.5}, {"a": 0.0, "b": 1.0}]}
    assert write_outputs(media.CSV, predicted, [2]) == [b"a,0.5,0.5\nb,0.0,1.0"]


def test_a_caller_that_takes_none_of_them_is_told_which_there_are() -> None:
    with pytest.raises(Refusal, match="text/csv"):
        choose_outputs("application/x-npy")
