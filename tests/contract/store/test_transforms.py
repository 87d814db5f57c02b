"""Batch transforms, as every store has them."""

from dataclasses import replace

import pytest

from modelyard.domain.transforms import TransformSpec, TransformStatus
from modelyard.errors import Conflict, InvalidValue, NotFound

SPEC = TransformSpec("price-transform", "shop", "d" * 64, "/in", "/out", "price:1", {"join": "Input"}, {"A": "1"})


def test_a_transform_comes_back_as_it_was_made(store):
    made = store.transforms.create(SPEC, 5.0)
    assert (made.id, made.status, made.attempt) == ("price-transform-1", TransformStatus.IN_PROGRESS, 0)
    assert store.transforms.get("PRICE-transform-1") == made
    assert store.transforms.unfinished() == [made]
    assert store.transforms.select("shop") == [made]
    assert store.transforms.select("other") == []


def test_ids_count_up_for_each_name_and_never_collide_by_case(store):
    made = [store.transforms.create(replace(SPEC, name=name), 1.0).id for name in ("a", "A", "b")]
    assert made == ["a-1", "A-2", "b-1"]
    with pytest.raises(InvalidValue, match="transform name"):
        store.transforms.create(replace(SPEC, name="../up"), 1.0)


def test_an_output_may_have_the_id_in_it(store):
    made = store.transforms.create(replace(SPEC, output="/out/{job}/x"), 1.0)
    assert made.spec.output == "/out/price-transform-1/x"
    assert store.transforms.get(made.id) == made


def test_those_of_a_batch_are_found_by_it(store):
    mine = store.transforms.create(replace(SPEC, batch="nightly"), 1.0)
    store.transforms.create(SPEC, 2.0)
    assert store.transforms.select(batch="Nightly") == [mine]


def test_a_life_is_written_down_step_by_step(store):
    name = store.transforms.create(SPEC, 1.0).id
    assert store.transforms.start(name, 2.0).attempt == 1
    again = store.transforms.start(name, 3.0)
    assert (again.attempt, again.started_at) == (2, 2.0)
    ended = store.transforms.end(name, TransformStatus.FAILED, 4.0, "x" * 5000, {"records": 7})
    assert (ended.ended_at, len(str(ended.failure_reason)), ended.result) == (4.0, 1024, {"records": 7})
    assert store.transforms.get(name) == ended
    assert store.transforms.unfinished() == []
    with pytest.raises(Conflict):
        store.transforms.start(name, 5.0)


def test_a_stop_is_wished_once_and_nothing_starts_after_it(store):
    name = store.transforms.create(SPEC, 1.0).id
    stopping = store.transforms.request_stop(name)
    assert (stopping.status, stopping.stop_requested) == (TransformStatus.STOPPING, True)
    assert store.transforms.request_stop(name) == stopping
    with pytest.raises(Conflict):
        store.transforms.start(name, 2.0)
    assert store.transforms.end(name, TransformStatus.STOPPED, 3.0).status is TransformStatus.STOPPED


def test_a_missing_transform_is_refused_with_the_nearest_id(store):
    store.transforms.create(SPEC, 1.0)
    with pytest.raises(NotFound) as refused:
        store.transforms.get("price-transfrom-1")
    assert refused.value.hint == "did you mean price-transform-1?"
