"""Lists of what serves: what is sought, counted, wrong, idle."""

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.endpoints import EndpointState, Told, VersionState, told
from modelyard.domain.headlines import Headline, Sought, idle, newest_asked, tally, wrong

HOUR = 3600.0
NOW = 1_000_000.0


def line(name: str = "price", **changes: Any) -> Headline:
    base = Headline(name, name, "shop", "endpoint", "m:1", EndpointState.LIVE, "fine", 1, 1, 1, 1, NOW - HOUR, None)
    return base._replace(**changes)


lines = st.builds(
    line,
    st.sampled_from(["price", "Churn", "greet"]),
    state=st.sampled_from(list(EndpointState)),
    project=st.sampled_from(["shop", "lab"]),
    kind=st.sampled_from(["endpoint", "app", "function"]),
    ready=st.integers(0, 3),
    last_request_at=st.one_of(st.none(), st.floats(0, NOW)),
)


@given(st.lists(lines))
def test_what_is_counted_adds_up_and_every_line_is_found_by_its_own_words(every: list[Headline]) -> None:
    told_of = tally(every)
    assert sum(told_of.states.values()) == sum(told_of.kinds.values()) == told_of.count == len(every)
    assert told_of.ready == sum(one.ready for one in every)
    for one in every:
        assert Sought(one.name.upper(), (one.state,), one.project, (one.kind,)).finds(one)
        assert one.project in told_of.projects
    assert Counter(newest_asked(every)) == Counter(every)
    assert all("error" in one.state or one.state == "compute unavailable" for one in wrong(every))
    assert not wrong(one for one in every if one.state in ("live", "updating", "deleting"))


def test_a_text_is_sought_in_names_and_models() -> None:
    assert Sought("M:1").finds(line())
    assert not Sought("churn").finds(line())
    assert not Sought(states=("error",)).finds(line())
    assert not Sought(project="lab").finds(line())


def test_idle_is_what_keeps_replicas_that_nobody_asked_since_it_was_deployed() -> None:
    asked_late = line("late", last_request_at=NOW - 10)
    deployed_late = line("new", last_request_at=NOW - 5 * HOUR, wished_at=NOW - 10)
    asleep = line("asleep", ready=0)
    never, long_ago = line("never"), line("long", wished_at=NOW - 9 * HOUR, last_request_at=NOW - 2 * HOUR)
    assert idle([asked_late, deployed_late, asleep, never, long_ago], HOUR, NOW) == [long_ago, never]


def test_a_verdict_on_an_older_wish_is_not_told_as_one_on_the_newest() -> None:
    def said(seen: Told | None, seen_at: float, state: VersionState = VersionState.NEW, **more: bool) -> Told:
        deleting = more.get("deleting", False)
        return told(seen, seen_at, wished=2, wished_state=state, wished_at=10.0, deleting=deleting)

    live, error = Told(EndpointState.LIVE, "fine"), Told(EndpointState.ERROR, "boom")
    assert said(None, 0.0).state is EndpointState.UPDATING
    assert said(live, 9.0) == Told(EndpointState.UPDATING, said(None, 0.0).sentence, current=False)
    assert said(error, 9.0).state is EndpointState.UPDATING
    assert said(live, 11.0) == live
    assert said(live, 9.0, VersionState.READY) == live
    assert said(live, 11.0, deleting=True) == Told(EndpointState.DELETING, "to be deleted")
    assert said(Told(EndpointState.DELETING, "draining"), 11.0, deleting=True).sentence == "draining"
