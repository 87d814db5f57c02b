"""What a model with several outputs answered, cut into what each request asked: a JSON object of lists by name."""

from typing import Any, Dict, List

from modelyard_worker import bodies, media
from modelyard_worker.request import unacceptable


def check_accepted(accept: str) -> None:
    """Raises Refusal where the caller takes no JSON: nothing else holds several lists."""
    if media.choose(accept, (media.JSON,)) is None:
        raise unacceptable(accept, media.JSON)


def write_outputs(predicted: Dict[str, Any], counts: List[int]) -> List[bytes]:
    """A body for each request. Raises ValueError where an output has not one value, or one row of them, a row."""
    _check(predicted, sum(counts))
    values = {
        name: output.tolist() if hasattr(output, "tolist") else list(output) for name, output in predicted.items()
    }
    written: List[bytes] = []
    begin = 0
    for count in counts:
        end = begin + count
        written.append(bodies.write_json({name: output[begin:end] for name, output in values.items()}))
        begin = end
    return written


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
