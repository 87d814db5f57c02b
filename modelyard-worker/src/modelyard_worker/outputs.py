"""What a model with several outputs answered, cut into what each request asked.

JSON          an object of lists by the outputs' names
JSON Lines    for each row an object of its values by those names
CSV           for each row its values, one output's after the other's
"""

from typing import Any, Dict, Iterator, List, cast

from modelyard_worker import bodies, media
from modelyard_worker.request import unacceptable

WRITABLE = (media.JSON, media.CSV, *media.LINES_NAMES)


def choose_outputs(accept: str) -> str:
    """The content type to answer with. Raises Refusal where the caller accepts none of them."""
    kind = media.choose(accept, WRITABLE)
    if kind is None:
        raise unacceptable(accept, ", ".join(WRITABLE))
    return kind


def write_outputs(content_type: str, predicted: Dict[str, Any], counts: List[int]) -> List[bytes]:
    """A body for each request. Raises ValueError where an output has not one value, or one row of them, a row."""
    _check(predicted, sum(counts))
    values = {
        name: output.tolist() if hasattr(output, "tolist") else list(output) for name, output in predicted.items()
    }
    written: List[bytes] = []
    begin = 0
    for count in counts:
        end = begin + count
        written.append(_write(content_type, {name: output[begin:end] for name, output in values.items()}))
        begin = end
    return written


def _write(content_type: str, columns: Dict[str, List[Any]]) -> bytes:
    if content_type == media.JSON:
        return bodies.write_json(columns)
    rows = zip(*columns.values())
    if content_type == media.CSV:
        return bodies.write_csv([list(_flat(row)) for row in rows])
    return bodies.write_lines(dict(zip(columns, row)) for row in rows)


def _flat(value: Any) -> Iterator[Any]:
    """A row's values, whatever they are nested in."""
    if isinstance(value, dict):
        value = tuple(cast("Dict[Any, Any]", value).values())
    if not isinstance(value, (list, tuple)):
        yield value
        return
    for one in cast("List[Any]", value):
        yield from _flat(one)


def cut_outputs(predicted: Dict[str, Any], counts: List[int]) -> List[Dict[str, Any]]:
    """The same outputs for each request, as the model gave them. Raises ValueError as `write_outputs` does."""
    _check(predicted, sum(counts))
    found: List[Dict[str, Any]] = []
    begin = 0
    for count in counts:
        found.append({name: output[begin : begin + count] for name, output in predicted.items()})
        begin += count
    return found


def _check(predicted: Dict[str, Any], total: int) -> None:
    for name, output in predicted.items():
        if not hasattr(output, "__len__") or getattr(output, "shape", None) == () or len(output) != total:
            raise ValueError(f"cannot tell rows apart: {total} went in and output {name} is {_described(output)}")


def _described(output: Any) -> str:
    return f"of shape {output.shape}" if hasattr(output, "shape") else f"a {type(output).__name__}"
