"""ONNX, run by ONNX Runtime on the processor.

A model with one input of rows takes rows; any other takes its inputs by name. The answer is its outputs: one as it is,
several by name. Importing the library starts a thread, so that even this waits until after a fork.
"""

from typing import Any

from modelyard_worker.loaders import LOAD_AFTER, Input, LoadFailed, import_library
from modelyard_worker.loaders.arrays import ArrayLoader, Arrays, Taken, sizes
from modelyard_worker.loaders.files import describe_file, framework_of

_TYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(int8)": "int8",
    "tensor(int16)": "int16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(uint8)": "uint8",
    "tensor(uint16)": "uint16",
    "tensor(uint32)": "uint32",
    "tensor(uint64)": "uint64",
    "tensor(bool)": "bool",
    "tensor(string)": "str",
}


class _Session:
    """A session, and what it says of the model. `threads` of another count need another session."""

    def __init__(self, file: str, threads: int) -> None:
        self.file = file
        self.open(threads)
        given = self.session.get_inputs()
        unknown = [f"{one.name} ({one.type})" for one in given if one.type not in _TYPES or not one.shape]
        if unknown:
            raise LoadFailed(
                f"cannot load {file}: its inputs {', '.join(unknown)} are no arrays of rows; write a predictor"
            )
        self.names = [str(one.name) for one in self.session.get_outputs()]
        fixed = [one.shape[0] for one in given if isinstance(one.shape[0], int)]
        inputs = tuple(Input(one.name, _TYPES[one.type], sizes(one.shape[1:])) for one in given)
        self.taken = Taken(inputs, min(fixed) if fixed else None)

    def open(self, threads: int) -> None:
        runtime = import_library("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Threads that spin while they wait take the processor from the other replicas.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.threads = threads
        self.session = runtime.InferenceSession(self.file, options, providers=["CPUExecutionProvider"])


class OnnxLoader(ArrayLoader):
    name = "onnx"
    fork = LOAD_AFTER
    libraries = ()

    def load(self, path: str) -> Any:
        file = self.file(path)
        if framework_of(file) is None and not file.endswith(".onnx"):
            raise LoadFailed(f"cannot load {file}: it is {describe_file(file)}, not an ONNX model")
        try:
            return _Session(file, 1)
        except LoadFailed:
            raise
        except Exception as error:  # its errors have no class of their own in common
            runtime = import_library("onnxruntime")
            reason = " ".join(str(error).split())
            raise LoadFailed(f"cannot load {file}: ONNX Runtime {runtime.__version__} says {reason}") from error

    def call(self, model: Any, given: Arrays) -> Arrays:
        return dict(zip(model.names, model.session.run(None, given)))

    def set_threads(self, model: Any, count: int) -> None:
        if count != model.threads:
            model.open(count)
