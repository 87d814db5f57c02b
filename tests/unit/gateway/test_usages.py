"""Usage plans hold over processes and restarts: who asks which of them makes no difference."""

import multiprocessing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.usage import Plan, ask, begin
from modelyard.gateway import usages
from modelyard.gateway.usages import Usages
from modelyard.protocol.usages import RECORD_BYTES, digest_of, read_usages

PLAN = Plan(quota=300)


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(0.0, 5.0)), max_size=60))
def test_whichever_process_is_asked_the_verdict_is_that_of_one(
    tmp_path_factory: pytest.TempPathFactory, asked: list[tuple[int, float]]
) -> None:
    path = tmp_path_factory.mktemp("usage") / "shop"
    plan = Plan(rate=1.0, burst=3, quota=20)
    processes = [Usages(path) for _ in range(3)]
    now, usage = 1000.0, begin(plan, 1000.0)
    for which, pause in asked:
        now += pause
        expected = ask(plan, usage, now)
        if expected.allowed:
            usage = expected.usage
        found = processes[which].spend("partner", plan, now)
        assert (found.allowed, found.reason) == (expected.allowed, expected.reason)
    for one in processes:
        one.close()


def _spend(path: Path, times: int, told: "multiprocessing.Queue[int]") -> None:
    usage = Usages(path)
    told.put(sum(usage.spend("partner", PLAN, 1000.0).allowed for _ in range(times)))


def test_several_processes_at_once_give_no_request_more_than_the_plan(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    told: multiprocessing.Queue[int] = context.Queue()
    processes = [context.Process(target=_spend, args=(tmp_path / "shop", 250, told)) for _ in range(2)]
    for one in processes:
        one.start()
    allowed = [told.get(timeout=60) for _ in processes]
    for one in processes:
        one.join(60)
    assert sum(allowed) == PLAN.quota


def test_one_that_starts_anew_goes_on_and_names_do_not_share(tmp_path: Path) -> None:
    first = Usages(tmp_path / "shop")
    assert [first.spend("partner", Plan(quota=2), 1000.0).allowed for _ in range(3)] == [True, True, False]
    assert first.spend("other", Plan(quota=2), 1000.0).allowed
    second = Usages(tmp_path / "shop")
    assert not second.spend("partner", Plan(quota=2), 1001.0).allowed
    assert second.spend("other", Plan(quota=2), 1001.0).allowed
    read = read_usages(tmp_path / "shop")
    assert [read[digest_of(name)].used for name in ("partner", "other")] == [2, 2]
    assert read_usages(tmp_path / "nobody") == {}
    assert (tmp_path / "shop").stat().st_mode & 0o777 == 0o600


def test_beyond_the_bound_the_record_used_longest_ago_is_given_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usages, "_BEYOND", 2 * RECORD_BYTES)
    one = Usages(tmp_path / "shop")
    for number, name in enumerate(("a", "b", "c")):
        assert one.spend(name, Plan(quota=1), 1000.0 + number).allowed
    assert (tmp_path / "shop").stat().st_size == 2 * RECORD_BYTES
    assert not one.spend("b", Plan(quota=1), 1003.0).allowed
    assert one.spend("a", Plan(quota=1), 1003.0).allowed, "it was forgotten, and begins anew"


def test_a_file_that_cannot_be_used_neither_opens_nor_closes_the_gateway(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "none").write_text("no folder")
    for path in (tmp_path / "shop", tmp_path / "none" / "shop"):
        one = Usages(path)
        assert [one.spend("partner", Plan(quota=1), 1000.0).allowed for _ in range(2)] == [True, False]


def test_a_file_that_was_cut_off_is_not_believed(tmp_path: Path) -> None:
    one = Usages(tmp_path / "shop")
    assert one.spend("partner", Plan(quota=1), 1000.0).allowed
    (tmp_path / "shop").write_bytes(b"")
    assert [one.spend("partner", Plan(quota=1), 1000.0).allowed for _ in range(2)] == [True, False]
