"""What a process that reads large bodies gives back to the kernel between two of them."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the rule is glibc's")

_READ_BODIES = """
import resource
import sys

from modelyard_worker.heap import keep_freed

if sys.argv[1] == "keep":
    keep_freed()

def read_one():
    # A body, the parser's copy of it, its numbers.
    return bytearray(1_000_000), bytearray(1_000_000), bytearray(440_000)

for _ in range(5):
    read_one()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    read_one()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _faults(rule: str) -> int:
    command = [sys.executable, "-c", _READ_BODIES, rule]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_bodies_of_a_megabyte_use_the_memory_of_the_one_before() -> None:
    assert _faults("keep") < _faults("leave") / 10
