import pytest

from modelyard.domain.disk import Disk, check_room, free_limit_bytes
from modelyard.errors import NoRoom

GIB = 2**30


@pytest.mark.parametrize(("total", "limit"), [(1000 * GIB, GIB), (10 * GIB, GIB // 2)])
def test_a_small_disk_has_a_small_limit(total: int, limit: int) -> None:
    assert free_limit_bytes(total, GIB, 0.05) == limit


def test_work_is_taken_down_to_the_limit_and_not_below_it() -> None:
    check_room(Disk(GIB, 10 * GIB, GIB), "deploy")
    with pytest.raises(NoRoom, match=r"cannot deploy: the yard's disk has 1023\.0 MiB free; it keeps 1\.0 GiB"):
        check_room(Disk(1023 * 2**20, 10 * GIB, GIB), "deploy")


def test_what_comes_counts_before_it_is_there() -> None:
    disk = Disk(3 * GIB, 10 * GIB, GIB)
    check_room(disk, "take the file", 2 * GIB)
    with pytest.raises(NoRoom, match=r"and 2\.0 GiB more would come"):
        check_room(disk, "take the file", 2 * GIB + 1)
