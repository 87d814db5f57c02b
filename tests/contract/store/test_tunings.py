import pytest

from modelyard.domain.runs import RunSpec
from modelyard.domain.tunings import Range, TuningSpec, TuningStatus
from modelyard.errors import Conflict, NotFound

SPEC = TuningSpec(
    "tune", "shop", RunSpec("price", "shop", "xgboost", None, None), "rmse", True, [Range("eta", "continuous", 0.1, 1)]
)


def test_a_created_tuning_comes_back_as_it_is_and_ids_count_up(store):
    first, second = (store.tunings.create(SPEC, at) for at in (1.0, 2.0))
    assert [first.id, second.id] == ["tune-1", "tune-2"]
    assert store.tunings.get("TUNE-1") == first
    assert first.spec == SPEC
    assert store.tunings.select() == [second, first]
    assert store.tunings.select("other") == []
    assert store.tunings.unfinished() == [first, second]


def test_an_end_is_written_once(store):
    tuning = store.tunings.create(SPEC, 1.0)
    assert store.tunings.request_stop(tuning.id).status is TuningStatus.STOPPING
    ended = store.tunings.end(tuning.id, TuningStatus.STOPPED, 2.0, reason="why", best_run="tune-1-1", model_version=3)
    assert (ended.ended_at, ended.best_run, ended.model_version) == (2.0, "tune-1-1", 3)
    assert store.tunings.end(tuning.id, TuningStatus.STOPPED, 3.0) == ended
    assert store.tunings.request_stop(tuning.id) == ended
    with pytest.raises(Conflict, match="it is Stopped"):
        store.tunings.end(tuning.id, TuningStatus.COMPLETED, 3.0)
    assert store.tunings.unfinished() == []


def test_a_missing_tuning_is_refused_with_the_nearest_id(store):
    store.tunings.create(SPEC, 1.0)
    with pytest.raises(NotFound) as refused:
        store.tunings.get("tune-11")
    assert refused.value.hint == "did you mean tune-1?"
