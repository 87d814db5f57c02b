"""A process and all that came of it."""

import os
import subprocess
import sys

from modelyard.engines.families import family, portion_bytes

WORDS = "import subprocess; one = subprocess.Popen(['sleep', '60']); print(one.pid, flush=True); one.wait()"


def test_descendants_are_of_the_family_and_what_is_gone_has_none() -> None:
    with subprocess.Popen([sys.executable, "-c", WORDS], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        grandchild = int(child.stdout.readline())
        assert family(child.pid) == [child.pid, grandchild]
        assert {child.pid, grandchild} <= set(family(os.getpid()))
        assert portion_bytes(child.pid) > portion_bytes(grandchild) > 0
        os.kill(grandchild, 9)
    assert family(child.pid) == [child.pid]
    assert portion_bytes(child.pid) == 0
