"""PyTorch: TorchScript (`torch.jit.save`) and exported programs (`torch.export.save`), which have their code with them.

What `torch.save` writes has none, and is refused. TorchScript does not say what it takes, so JSON becomes float32, of
whatever shape; NPY keeps whole numbers, for models that take ids. An exported program says types and shapes, and takes
rows where it has one input of rows.
"""

from typing import Any, Dict, List, cast

from modelyard_worker.loaders import SHARE, Input, LoadFailed, import_library
from modelyard_worker.loaders.arrays import ArrayLoader, Arrays, Taken, sizes
from modelyard_worker.loaders.files import EXPORTED, TORCHSCRIPT, file_kind


class _Module:
    def __init__(self, call: Any, taken: Taken) -> None:
        self.call = call
        self.taken = taken


class PytorchLoader(ArrayLoader):
    name = "pytorch"
    fork = SHARE
    libraries = ("numpy", "torch")

    def load(self, path: str) -> Any:
        file = self.file(path)
        kind = file_kind(file)
        if kind not in (TORCHSCRIPT, EXPORTED):
            raise LoadFailed(
                f"cannot load {file}: it is {kind.words}, which has no code; save the model with torch.jit.save or "
                "torch.export.save, or write a predictor class that builds it and loads the file into it"
            )
        torch = import_library("torch")
        # One thread here; after the fork `set_threads` says how many.
        torch.set_num_threads(1)
        try:
            return _scripted(torch, file) if kind is TORCHSCRIPT else _exported(torch, file)
        except LoadFailed:
            raise
        except Exception as error:  # what its deserialisers raise has nothing in common
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise LoadFailed(f"cannot load {file}: PyTorch {torch.__version__} says {reason[0]}") from error

    def call(self, model: Any, given: Arrays) -> Arrays:
        torch = import_library("torch")
        with torch.inference_mode():
            # Copied: a body's memory is not writable, and torch warns of such arrays.
            found = model.call(*(torch.tensor(given[one.name]) for one in model.taken.inputs))
        return _outputs(found)

    def set_threads(self, model: Any, count: int) -> None:  # noqa: ARG002 (the library has one count for the process)
        import_library("torch").set_num_threads(count)


def _scripted(torch: Any, file: str) -> _Module:
    module = torch.jit.load(file, map_location="cpu").eval()
    arguments = [one for one in module.forward.schema.arguments[1:] if not one.has_default_value()]
    other = [f"{one.name} ({one.type})" for one in arguments if str(one.type) != "Tensor"]
    if other or not arguments:
        raise LoadFailed(
            f"cannot load {file}: its forward takes {', '.join(other) or 'nothing'} besides arrays; write a predictor"
        )
    return _Module(module, Taken(tuple(Input(one.name, "", None) for one in arguments)))


def _exported(torch: Any, file: str) -> _Module:
    program = torch.export.load(file)
    taken = set(program.graph_signature.user_inputs)
    tensors = {node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"}
    names = [name for name in tensors if name in taken]
    bare = [name for name in names if not len(getattr(tensors[name], "shape", ()))]
    if bare or not names:
        raise LoadFailed(f"cannot load {file}: its inputs {', '.join(bare)} are no arrays of rows; write a predictor")
    inputs = tuple(
        Input(name, str(tensors[name].dtype).rpartition(".")[2], sizes(tensors[name].shape[1:])) for name in names
    )
    # Exported without dynamic shapes, a program takes as many rows as its example had.
    first = tensors[names[0]].shape[0]
    return _Module(program.module(), Taken(inputs, first if isinstance(first, int) else None))


def _outputs(found: Any) -> Arrays:
    """Arrays by name: of a dict by its keys, of a tuple by their places."""
    if isinstance(found, dict):
        named = cast("Dict[Any, Any]", found)
        return {str(name): one.numpy() for name, one in named.items()}
    several = list(cast("List[Any]", found)) if isinstance(found, (list, tuple)) else [found]
    return {f"output_{place}": one.numpy() for place, one in enumerate(several)}
