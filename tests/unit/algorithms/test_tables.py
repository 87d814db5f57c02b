"""Reading channels: CSV and libsvm, every fault with its file, line and column."""

from pathlib import Path

import numpy as np
import pytest
from modelyard_worker.algorithms.refusal import BadInput
from modelyard_worker.algorithms.tables import Format, Table, read_channel, read_format

CSV = Format("text/csv", weights=False)
LIBSVM = Format("text/libsvm", weights=False)


def read(folder: Path, text: str | bytes, form: Format = CSV) -> Table:
    (folder / "train.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_channel(str(folder), form)


def test_the_label_is_the_first_column(tmp_path: Path) -> None:
    table = read(tmp_path, "1,2,3\n4,5,6\n")
    assert table.labels.tolist() == [1, 4]
    assert table.features.tolist() == [[2, 3], [5, 6]]
    assert table.weights is None


def test_files_of_a_channel_are_one_table_in_order_of_their_names(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("3,4\n")
    (tmp_path / "a.csv").write_text("1,2\n")
    assert read_channel(str(tmp_path), CSV).labels.tolist() == [1, 3]


def test_empty_cells_are_missing_values(tmp_path: Path) -> None:
    table = read(tmp_path, "1,,3\r\n4,5,\r\n\r\n7,,")
    assert np.isnan(table.features).tolist() == [[True, False], [False, True], [True, True]]


def test_weights_stand_in_the_second_column(tmp_path: Path) -> None:
    table = read(tmp_path, "1,0.5,3\n4,2,6\n", read_format("text/csv;label_size=1;weights=1"))
    assert table.weights is not None
    assert table.weights.tolist() == [0.5, 2]
    assert table.features.tolist() == [[3], [6]]


def test_libsvm_has_zero_based_columns_and_optional_weights(tmp_path: Path) -> None:
    table = read(tmp_path, "1:2 0:0.5 2:1.5 # note\n\n0 1:3\n", LIBSVM)
    assert table.features.toarray().tolist() == [[0.5, 0, 1.5], [0, 3, 0]]
    assert table.labels.tolist() == [1, 0]
    assert table.weights is not None
    assert table.weights.tolist() == [2, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("price,area\n1,2\n", "cannot read train.csv: line 1 has text ('price'); remove the header"),
        ("1,area\n1,2\n", "line 1 has text ('area'); remove the header"),
        ("1,2\n3,x\n", "cannot read train.csv: line 2, column 2: 'x' is not a number"),
        ("1,2,3\n4,5\n", "line 2 has 2 columns where line 1 has 3"),
        ("1,2\n,3\n", "line 2, column 1: the label is missing"),
        ("1,2\n\nnan,3\n", "line 3, column 1: the label is NaN"),
        ("1,2\n3,inf\n", "line 2, column 2: 'inf' is infinite"),
        ("1,2\n3,1e39\n", "line 2, column 2: '1e39' is infinite, or too large"),
        ("", "cannot read train.csv: it is empty"),
        ("\n \n", "it is empty"),
        ("1\n2\n", "it has 1 columns; a label and at least one feature are needed"),
        (b"1,2\n3,\xff\xfe\n", "line 2, column 2"),
        ("1;2\n3;4\n", "line 1 has text ('1;2')"),
    ],
)
def test_a_csv_that_cannot_be_read_is_named_by_file_line_and_column(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    with pytest.raises(BadInput) as refusal:
        read(tmp_path, text)
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 0:2\nx 0:1\n", "line 2: the label 'x' is not a number"),
        ("1 0:2 7\n", "line 1: '7' is not INDEX:VALUE"),
        ("1 -3:2\n", "index -3 is negative"),
        ("nan 0:1\n", "the label 'nan' is not a number"),
        ("# nothing\n", "it is empty"),
    ],
)
def test_a_libsvm_file_that_cannot_be_read_is_named_by_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BadInput) as refusal:
        read(tmp_path, text, LIBSVM)
    assert message in str(refusal.value)


def test_a_channel_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="has no file"):
        read_channel(str(tmp_path), CSV)


def test_a_content_type_that_is_not_known_is_refused() -> None:
    with pytest.raises(BadInput, match="use text/csv or text/libsvm"):
        read_format("application/x-parquet")
