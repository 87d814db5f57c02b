"""Queued invocations, in every store."""

from dataclasses import replace

import pytest

from modelyard.domain.invocations import (
    DeliveryState,
    Invocation,
    InvocationRequest,
    InvocationStatus,
    Result,
    Stored,
    WebhookDelivery,
    answered,
    delivery_begun,
    delivery_ended,
    lost,
    unsent,
)
from modelyard.errors import Conflict, NotFound
from modelyard.store.ports import Accepted, End, Store

NOW = 1000.0


def asked(name: str = "a", endpoint: str = "price", sha256: str = "1", **more) -> Invocation:
    request = InvocationRequest(Stored(2, sha256), "application/json", time_to_live_seconds=60.0, **more)
    return Invocation(endpoint, name, request, NOW, NOW + 60.0, due_at=NOW)


def accept(store: Store, *wanted: Invocation) -> list[Invocation]:
    accepted = store.invocations.accept([(one, b"{}") for one in wanted])
    assert all(isinstance(one, Accepted) and one.is_new for one in accepted)
    return [one.invocation for one in accepted if isinstance(one, Accepted)]


def take_one(store: Store, now: float = NOW) -> Invocation:
    (one,) = store.invocations.take("price", 1, now)
    return one


def done(one: Invocation, status: int = 200) -> End:
    return End(one.attempt, answered(one, Result(status, "text/plain", Stored(1)), None, NOW + 1), b"7")


def test_what_is_accepted_is_there_with_its_body_in_order(store: Store) -> None:
    accept(store, asked("a"), asked("b"), asked("a", "other"))
    found = store.invocations.get("Price", "b")
    assert (found.id, found.status, found.sequence) == ("b", InvocationStatus.IN_QUEUE, 2)
    assert store.invocations.content(found.sequence, result=False) == b"{}"
    assert [one.id for one in store.invocations.select("price")] == ["b", "a"]
    assert store.invocations.agenda(NOW).queued == {"price": 2, "other": 1}
    with pytest.raises(NotFound):
        store.invocations.get("price", "c")


def test_the_same_invocation_is_accepted_once_and_another_of_its_id_refused(store: Store) -> None:
    accept(store, asked())
    again, other = store.invocations.accept([(asked(), b"{}"), (asked(sha256="2"), b"[]")])
    assert isinstance(again, Accepted)
    assert not again.is_new
    assert isinstance(other, Conflict)
    assert len(store.invocations.select()) == 1


def test_an_attempt_is_written_before_it_is_sent_and_has_one_result(store: Store) -> None:
    accept(store, asked())
    one = take_one(store)
    assert (one.status, one.attempt) == (InvocationStatus.IN_PROGRESS, 1)
    assert store.invocations.take("price", 9, NOW) == []
    assert store.invocations.finish([done(one), done(one)], NOW) == [True, False]
    ended = store.invocations.get("price", "a")
    assert (ended.status, ended.result) == (InvocationStatus.COMPLETED, Result(200, "text/plain", Stored(1)))
    assert store.invocations.content(ended.sequence, result=True) == b"7"


def test_what_a_dead_sender_had_is_tried_again_and_its_late_result_is_not_taken(store: Store) -> None:
    accept(store, asked())
    first = take_one(store)
    assert [one.id for one in store.invocations.recover(NOW)] == ["a"]
    second = take_one(store)
    assert second.attempt == 2
    assert store.invocations.finish([done(first)], NOW) == [False]
    assert store.invocations.finish([done(second)], NOW) == [True]


def test_what_was_not_sent_waits_and_counts_as_no_attempt(store: Store) -> None:
    accept(store, asked())
    one = take_one(store)
    store.invocations.finish([End(1, unsent(one, "full", 5.0, NOW))], NOW)
    assert store.invocations.take("price", 1, NOW + 4) == []
    assert store.invocations.agenda(NOW).next_at == NOW + 5
    assert take_one(store, NOW + 5).attempt == 1


def test_a_wish_to_cancel_ends_what_waits_at_once_and_what_is_tried_again_instead(store: Store) -> None:
    accept(store, asked("a"), asked("b"))
    running = take_one(store)
    assert store.invocations.cancel("price", "b", NOW).status is InvocationStatus.CANCELLED
    assert store.invocations.cancel("price", "a", NOW).status is InvocationStatus.IN_PROGRESS
    assert [one.id for one in store.invocations.agenda(NOW).stopping] == ["a"]
    store.invocations.finish([End(1, lost(running, "died", NOW))], NOW)
    assert store.invocations.get("price", "a").status is InvocationStatus.CANCELLED
    assert store.invocations.cancel("price", "a", NOW).status is InvocationStatus.CANCELLED


def test_what_has_ended_cannot_be_cancelled(store: Store) -> None:
    accept(store, asked())
    store.invocations.finish([done(take_one(store))], NOW)
    with pytest.raises(Conflict):
        store.invocations.cancel("price", "a", NOW)


def test_what_waits_too_long_expires_and_can_be_driven_again(store: Store) -> None:
    accept(store, asked("a"), asked("b"))
    store.invocations.finish([done(take_one(store), 500)], NOW)
    assert [one.id for one in store.invocations.expire(NOW + 60)] == ["b"]
    assert store.invocations.counts("price") == {InvocationStatus.FAILED: 1, InvocationStatus.EXPIRED: 1}
    anew, _ = store.invocations.redrive("price", None, NOW + 100)
    assert sorted(one.id for one in anew) == ["a", "b"]
    again = store.invocations.get("price", "a")
    assert (again.status, again.result, again.expires_at) == (InvocationStatus.IN_QUEUE, None, NOW + 160)
    assert store.invocations.content(again.sequence, result=True) == b""
    assert [one.attempt for one in store.invocations.take("price", 9, NOW + 100)] == [2, 1]


def test_driving_again_is_for_dead_letters_alone(store: Store) -> None:
    accept(store, asked())
    with pytest.raises(Conflict):
        store.invocations.redrive("price", ["a"], NOW)
    with pytest.raises(NotFound):
        store.invocations.redrive("price", ["b"], NOW)


def test_a_webhook_is_told_until_it_was_and_no_longer(store: Store) -> None:
    accept(store, asked(webhook="http://localhost/"))
    store.invocations.finish([done(take_one(store))], NOW)
    (due,) = store.invocations.deliveries(NOW + 1, 9)
    assert isinstance(due.delivery, WebhookDelivery)
    begun = delivery_begun(due.delivery, NOW + 1)
    store.invocations.put_delivery(due.sequence, begun)
    assert store.invocations.deliveries(NOW + 1, 9) == []
    assert store.invocations.agenda(NOW).next_at == begun.due_at
    store.invocations.put_delivery(due.sequence, delivery_ended(begun, None))
    assert store.invocations.agenda(NOW).next_at is None
    told = store.invocations.get("price", "a").delivery
    assert told == replace(begun, state=DeliveryState.DELIVERED)


def test_what_ended_long_ago_is_forgotten_with_everything_of_it(store: Store) -> None:
    accept(store, asked("a"), asked("b"))
    one = take_one(store)
    kept = answered(one, Result(200, "text/plain", Stored(9, file="f")), None, NOW)
    store.invocations.finish([End(1, kept)], NOW)
    assert store.invocations.files() == {"f"}
    assert store.invocations.forget_ended(NOW) == []
    assert [one.id for one in store.invocations.forget_ended(NOW + 1)] == ["a"]
    assert store.invocations.files() == set()
    assert [one.id for one in store.invocations.select()] == ["b"]
