"""Output written aside, in order, and renamed when it is whole: a file under its own name is never half there.

What is not whole lies in `.NAME.parts` below the output folder, on the same disk, so that a rename is enough; where the
output is in an object store, in the transform's own folder, from where it is sent. Whoever goes on after an
interruption cuts a part back to what the journal tells of.
"""

import os
import shutil

from modelyard_worker.object_store import is_object_url
from modelyard_worker.transform import remote
from modelyard_worker.transform.plan import TransformPlan


def parts_folder(plan: TransformPlan) -> str:
    if is_object_url(plan.output):
        return os.path.join(plan.base, "parts")
    return os.path.join(plan.output, f".{plan.name}.parts")


class Outputs:
    def __init__(self, plan: TransformPlan) -> None:
        self._output = plan.output
        self._parts = parts_folder(plan)

    def part(self, number: int) -> str:
        """Where the output of an object is until it is whole."""
        return os.path.join(self._parts, f"{number:07d}")

    def final(self, name: str) -> str:
        return os.path.join(self._output, *name.split("/"))

    def open(self, number: int, size_bytes: int) -> int:
        """The part for appending, cut back to `size_bytes`: a descriptor. Raises OSError."""
        os.makedirs(self._parts, mode=0o755, exist_ok=True)
        descriptor = os.open(self.part(number), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        if os.fstat(descriptor).st_size < size_bytes:
            os.close(descriptor)
            raise OSError(f"cannot go on: {self.part(number)} is shorter than it was; somebody changed it")
        os.ftruncate(descriptor, size_bytes)
        os.lseek(descriptor, size_bytes, os.SEEK_SET)
        return descriptor

    def finish(self, number: int, name: str) -> None:
        """Gives a whole part its name; harmless where it has it. Raises OSError."""
        part = self.part(number)
        if is_object_url(self._output):
            if os.path.exists(part):
                remote.send(part, f"{self._output.rstrip('/')}/{name}")
                os.unlink(part)
            return
        final = self.final(name)
        folder = os.path.dirname(final)
        os.makedirs(folder, exist_ok=True)
        if os.path.exists(part):
            os.replace(part, final)
        for place in {folder, self._parts}:
            _sync_folder(place)

    def drop(self, number: int) -> None:
        """An object that failed leaves nothing."""
        for path in (self.part(number), f"{self.part(number)}.parquet"):
            if os.path.exists(path):
                os.unlink(path)

    def clear(self) -> None:
        """Nothing is under way any more."""
        shutil.rmtree(self._parts, ignore_errors=True)


def _sync_folder(path: str) -> None:
    if not os.path.isdir(path):
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
