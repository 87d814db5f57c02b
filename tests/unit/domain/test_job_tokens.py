from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.job_tokens import is_tracking_token, job_token, run_of, tracking_token

RUNS = st.from_regex(r"[a-z0-9][a-z0-9.-]{0,40}", fullmatch=True)


@given(RUNS)
def test_a_token_says_whose_it_is_under_its_own_key_alone(run: str) -> None:
    assert run_of("the key", job_token("the key", run)) == run
    assert run_of("another", job_token("the key", run)) is None


@given(RUNS, RUNS)
def test_a_token_of_one_run_is_none_of_another(run: str, other: str) -> None:
    prefix, _, signature = job_token("the key", run).rpartition(".")
    forged = f"{prefix.partition('.')[0]}.{other}.{signature}"
    assert run_of("the key", forged) == (run if run == other else None)


@given(st.text())
def test_anything_else_is_nobodys(text: str) -> None:
    assert run_of("the key", text) is None


@given(RUNS)
def test_the_tracking_servers_token_is_no_jobs_and_no_jobs_is_the_tracking_servers(run: str) -> None:
    assert is_tracking_token("the key", tracking_token("the key"))
    assert not is_tracking_token("another", tracking_token("the key"))
    assert run_of("the key", tracking_token("the key")) is None
    assert not is_tracking_token("the key", job_token("the key", run))
