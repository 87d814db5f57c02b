import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.retention import (
    Found,
    Kind,
    LaidOut,
    RunFolder,
    StoredArtifact,
    decide_retention,
)
from modelyard.settings import CareSettings

DAY = 86400.0
NOW = 1000 * DAY
CARE = CareSettings()

DIGESTS = st.sampled_from([character * 64 for character in "0123456789"])
TIMES = st.floats(0.0, NOW)
SIZES = st.integers(0, 2**40)
FOUND = st.builds(
    Found,
    runs=st.lists(
        st.builds(RunFolder, st.text("abc", min_size=1, max_size=3), TIMES, SIZES, SIZES), unique_by=lambda one: one.run
    ).map(tuple),
    packages=st.lists(st.builds(LaidOut, DIGESTS, SIZES, TIMES), unique_by=lambda one: one.digest).map(tuple),
    artifacts=st.lists(st.builds(StoredArtifact, DIGESTS, SIZES, TIMES), unique_by=lambda one: one.sha256).map(tuple),
    needed=st.frozensets(DIGESTS),
)


def names(found: Found, kind: Kind, care: CareSettings = CARE) -> list[str]:
    return [one.name for one in decide_retention(found, care, NOW) if one.kind is kind]


@given(FOUND)
def test_nothing_goes_that_something_refers_to(found: Found) -> None:
    gone = decide_retention(found, CARE, NOW)
    assert not found.needed & {one.name for one in gone if one.kind in (Kind.ARTIFACT, Kind.PACKAGE)}


@given(FOUND)
def test_no_artifact_goes_that_was_touched_within_the_last_hour(found: Found) -> None:
    touched = {one.sha256: one.touched_at for one in found.artifacts}
    assert all(NOW - touched[name] > CARE.artifacts_kept_seconds for name in names(found, Kind.ARTIFACT))


@given(FOUND)
def test_what_can_go_is_there_once_and_with_its_size(found: Found) -> None:
    gone = decide_retention(found, CARE, NOW)
    assert len({(one.kind, one.name) for one in gone}) == len(gone)
    runs = {one.run: one for one in found.runs}
    for one in gone:
        if one.kind is Kind.RUN:
            assert one.size_bytes == runs[one.name].inputs_bytes + runs[one.name].rest_bytes
    assert not set(names(found, Kind.RUN)) & set(names(found, Kind.RUN_INPUTS))


@given(FOUND, st.floats(0, 2**41))
def test_what_is_left_of_runs_is_within_its_bytes(found: Found, bytes_max: float) -> None:
    care = dataclasses.replace(CARE, run_folders_bytes_max=bytes_max)
    gone, thinned = names(found, Kind.RUN, care), names(found, Kind.RUN_INPUTS, care)
    left = [one for one in found.runs if one.run not in gone]
    assert sum(one.rest_bytes + (one.inputs_bytes if one.run not in thinned else 0) for one in left) <= bytes_max


@given(FOUND)
def test_what_has_gone_does_not_go_again(found: Found) -> None:
    gone = {(one.kind, one.name) for one in decide_retention(found, CARE, NOW)}
    left = Found(
        runs=tuple(
            dataclasses.replace(one, inputs_bytes=0) if (Kind.RUN_INPUTS, one.run) in gone else one
            for one in found.runs
            if (Kind.RUN, one.run) not in gone
        ),
        packages=tuple(one for one in found.packages if (Kind.PACKAGE, one.digest) not in gone),
        artifacts=tuple(one for one in found.artifacts if (Kind.ARTIFACT, one.sha256) not in gone),
        needed=found.needed,
    )
    assert decide_retention(left, CARE, NOW) == []


def test_inputs_of_a_run_go_after_a_day_and_the_rest_after_a_month() -> None:
    runs = (RunFolder("new", NOW - DAY, 1, 1), RunFolder("old", NOW - 2 * DAY, 1, 1), RunFolder("gone", 0.0, 1, 1))
    assert names(Found(runs=runs), Kind.RUN_INPUTS) == ["old"]
    assert names(Found(runs=runs), Kind.RUN) == ["gone"]


def test_beyond_the_bytes_of_all_runs_those_that_ended_first_go() -> None:
    care = dataclasses.replace(CARE, run_folders_bytes_max=25)
    runs = tuple(RunFolder(str(number), NOW - number, 5, 5) for number in range(4))
    assert names(Found(runs=runs), Kind.RUN, care) == ["2", "3"]


def test_a_package_stays_a_day_after_it_was_laid_out() -> None:
    packages = (LaidOut("a" * 64, 1, NOW - DAY), LaidOut("b" * 64, 1, NOW - DAY - 1))
    assert names(Found(packages=packages), Kind.PACKAGE) == ["b" * 64]


def test_old_events_are_counted_in_one_line() -> None:
    (one,) = decide_retention(Found(old_events=7), CARE, NOW)
    assert (one.kind, one.name, one.reason) == (Kind.EVENTS, "7 events", "older than 90 days")
