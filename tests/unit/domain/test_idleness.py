"""When an endpoint that nobody asks is announced to go, and when it goes."""

from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.idleness import Fate, Requests, decide_ttl, expires_at, notice_seconds

DAY = 86400.0
TIMES = st.floats(min_value=0.0, max_value=1e7)


def test_what_has_no_ttl_stays() -> None:
    assert decide_ttl(None, 0.0, Requests(), 1e9).fate is Fate.STAY


def test_a_warning_comes_before_the_deletion_and_both_say_since_when() -> None:
    quiet = decide_ttl(7 * DAY, 0.0, Requests(), 6 * DAY)
    assert (quiet.fate, quiet.look_at) == (Fate.STAY, 7 * DAY - 3600.0)
    warned = decide_ttl(7 * DAY, 0.0, Requests(), 7 * DAY - 3600.0)
    assert (warned.fate, warned.look_at) == (Fate.WARN, 7 * DAY)
    assert warned.sentence == "no request for 6 d 23 h: it will be deleted in 1 h unless it is asked before"
    told = Requests(warned_at=7 * DAY - 3600.0)
    assert decide_ttl(7 * DAY, 0.0, told, 7 * DAY - 1.0).fate is Fate.STAY
    gone = decide_ttl(7 * DAY, 0.0, told, 7 * DAY)
    assert gone.fate is Fate.DELETE
    assert gone.sentence == "deleted for want of requests: none for 7 d, and its ttl is 7 d"


def test_a_request_after_the_warning_begins_anew() -> None:
    asked = Requests(last_at=95.0)
    assert decide_ttl(100.0, 0.0, asked, 100.0).fate is Fate.STAY
    assert decide_ttl(100.0, 0.0, Requests(95.0, warned_at=90.0), 110.0).look_at == 185.0


def test_a_yard_that_was_down_warns_first_and_waits() -> None:
    late = decide_ttl(100.0, 0.0, Requests(last_at=5.0), 5000.0)
    assert (late.fate, late.look_at) == (Fate.WARN, 5010.0)
    assert expires_at(100.0, 0.0, Requests(5.0, warned_at=5000.0)) == 5010.0


@given(TIMES.map(lambda one: one + 1.0), TIMES, st.none() | TIMES, st.none() | TIMES, TIMES)
def test_nothing_goes_before_its_time_or_unannounced(
    ttl: float, deployed: float, last: float | None, warned: float | None, now: float
) -> None:
    requests = Requests(last, warned)
    verdict = decide_ttl(ttl, deployed, requests, now)
    since = max(deployed, last or 0.0)
    if verdict.fate is Fate.DELETE:
        assert now - since >= ttl * 0.999
        assert warned is not None
        assert warned >= since
        assert now - warned >= notice_seconds(ttl) * 0.999
    else:
        assert verdict.look_at is not None
        assert verdict.look_at > now or verdict.look_at >= since
