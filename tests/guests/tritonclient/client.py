"""Asks a yard as a user of Triton's client does: `client.py ADDRESS CASE`; prints what came back as JSON."""

import json
import sys
from typing import Any

import numpy as np
import tritonclient.http as triton  # pyright: ignore[reportMissingImports] (the guest has it)
from tritonclient.utils import InferenceServerException  # pyright: ignore[reportMissingImports] (as above)

IRIS = np.array([[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]])


def _input(name: str, values: Any, datatype: str, *, binary: bool) -> Any:
    one = triton.InferInput(name, list(values.shape), datatype)
    one.set_data_from_numpy(values, binary_data=binary)
    return one


def state(client: Any) -> Any:
    return {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "server": client.get_server_metadata(),
        "model ready": client.is_model_ready("iris"),
        "version ready": client.is_model_ready("iris", "1"),
        "other version ready": client.is_model_ready("iris", "7"),
        "missing ready": client.is_model_ready("nowhere"),
        "index": client.get_model_repository_index(),
    }


def metadata(client: Any) -> Any:
    return {
        "iris": client.get_model_metadata("iris"),
        "version": client.get_model_metadata("iris", "1"),
        "config": client.get_model_config("iris"),
        "fields": client.get_model_metadata("fields")["inputs"],
    }


def binary(client: Any) -> Any:
    found = client.infer("iris", [_input("input", IRIS, "FP64", binary=True)], request_id="17")
    answer = found.get_response()
    return {"answer": answer, "values": found.as_numpy("output").tolist(), "type": str(found.as_numpy("output").dtype)}


def as_json(client: Any) -> Any:
    wanted = [triton.InferRequestedOutput("species", binary_data=False)]
    found = client.infer("iris", [_input("anything", IRIS, "FP64", binary=False)], outputs=wanted, model_version="1")
    return {"answer": found.get_response(), "values": found.as_numpy("species").tolist()}


def types(client: Any) -> Any:
    """Every type goes there and back in both forms."""
    found: dict[str, Any] = {}
    for datatype, kind in (
        ("BOOL", "bool"), ("UINT8", "uint8"), ("UINT16", "uint16"), ("UINT32", "uint32"), ("UINT64", "uint64"),
        ("INT8", "int8"), ("INT16", "int16"), ("INT32", "int32"), ("INT64", "int64"), ("FP16", "float16"),
        ("FP32", "float32"), ("FP64", "float64"),
    ):  # fmt: skip
        values = np.array([[0, 1, 1], [1, 0, 1]], kind)
        for form in (True, False):
            if datatype == "FP16" and not form:
                continue
            given = [_input("x", values, datatype, binary=form)]
            wanted = [triton.InferRequestedOutput("x", binary_data=form)]
            output = client.infer("same", given, outputs=wanted)
            back = output.as_numpy("x")
            same = output.get_output("x")["datatype"] == datatype and bool((back == values).all())
            found[f"{datatype} {'binary' if form else 'json'}"] = same and back.shape == values.shape
    texts = np.array(["a", "\u00fc", ""], object)
    for form in (True, False):
        given = [_input("x", texts, "BYTES", binary=form)]
        back = client.infer("same", given, outputs=[triton.InferRequestedOutput("x", binary_data=form)]).as_numpy("x")
        found[f"BYTES {'binary' if form else 'json'}"] = [
            one.decode() if isinstance(one, bytes) else one for one in back
        ] == ["a", "\u00fc", ""]
    return found


def named(client: Any) -> Any:
    """Tensors by name become the fields of a model that validates them, and columns of a table."""
    area, rooms = np.array([80.0]), np.array([3], "int64")
    given = [_input("area", area, "FP64", binary=True), _input("rooms", rooms, "INT64", binary=True)]
    table = client.infer("table", given)
    return {
        "fields": client.infer("fields", given).as_numpy("price").tolist(),
        "table": {name: table.as_numpy(name).tolist() for name in ("area", "double")},
    }


def large(client: Any) -> Any:
    values = np.arange(1_200_000, dtype="float32").reshape(1200, 1000)
    found = client.infer("same", [_input("x", values, "FP32", binary=True)]).as_numpy("output")
    return bool((found == values).all())


def missing(client: Any) -> Any:
    return client.infer("nowhere", [_input("input", IRIS, "FP64", binary=True)])


def wrong_shape(client: Any) -> Any:
    return client.infer("iris", [_input("input", IRIS[:, :3], "FP64", binary=True)])


def wrong_output(client: Any) -> Any:
    wanted = [triton.InferRequestedOutput("area"), triton.InferRequestedOutput("garden")]
    area, rooms = np.array([80.0]), np.array([3], "int64")
    given = [_input("area", area, "FP64", binary=True), _input("rooms", rooms, "INT64", binary=True)]
    return client.infer("table", given, outputs=wanted)


def raises(client: Any) -> Any:
    return client.infer("fields", [_input("area", np.array([-1.0]), "FP64", binary=True)])


def wrong_version(client: Any) -> Any:
    return client.infer("iris", [_input("input", IRIS, "FP64", binary=True)], model_version="7")


def main() -> None:
    address, case = sys.argv[1:]
    client = triton.InferenceServerClient(address)
    try:
        found = globals()[case](client)
    except InferenceServerException as error:
        found = {"status": error.status(), "message": error.message()}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
