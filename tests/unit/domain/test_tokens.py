import pytest

from modelyard.domain.access import OWNER, Entry, Grant, Policy, Principal, PrincipalKind, Role, decide_entry
from modelyard.domain.runs import Run, RunSpec, RunStatus, RunStep
from modelyard.domain.tokens import JOB_SCOPES, acting_for, job_principal, job_token_for, run_behind

ADA = Principal(PrincipalKind.USER, "ada@a.org", (Grant(Role.CALLER, "shop"),), ("Team",))


def entry(principal: Principal, policy: Policy, resource: str = "endpoint/price") -> Entry:
    return decide_entry(policy, principal, "127.0.0.1", "shop", resource)


@pytest.mark.parametrize("policy", [Policy("public"), Policy("key"), Policy("login"), Policy("groups", ("team",))])
@pytest.mark.parametrize("person", [ADA, OWNER, Principal(PrincipalKind.USER, "eve@a.org")])
def test_an_app_comes_in_exactly_where_the_person_would(person: Principal, policy: Policy) -> None:
    acting = acting_for(person, "app/dash", "endpoints:call")
    assert entry(acting, policy) is entry(person, policy)


def test_a_token_reaches_only_what_its_scopes_name() -> None:
    acting = acting_for(OWNER, "app/dash", "functions:call")
    assert entry(acting, Policy("key")) is Entry.REFUSED
    assert entry(acting, Policy("key"), "function/price") is Entry.OPEN
    assert entry(acting, Policy("login"), "app/other") is Entry.REFUSED


def test_a_jobs_token_calls_its_project_and_registers_its_model_and_no_other() -> None:
    spec = RunSpec(training="t", project="shop", algorithm="xgboost", entry=None, code=None, model="price")
    run = Run("r-1", spec, RunStatus.IN_PROGRESS, RunStep.TRAINING, created_at=0.0)
    token = job_token_for(run, 100.0)
    assert token.expires_at == 100.0 + run.spec.max_runtime_seconds + run.spec.stop_grace_seconds + 3600
    principal = job_principal(token)
    assert principal.scopes == JOB_SCOPES
    assert run_behind(principal) == "r-1"
    assert [str(one) for one in principal.grants] == [
        "caller on project shop",
        "viewer on run/r-1",
        "deployer on model/price",
    ]
    assert entry(principal, Policy("key")) is Entry.OPEN
    assert entry(principal, Policy("login")) is Entry.OPEN
    assert decide_entry(Policy("key"), principal, "", "other", "endpoint/other") is Entry.REFUSED


def test_only_a_jobs_token_stands_for_a_run() -> None:
    assert run_behind(OWNER) is None
    assert run_behind(acting_for(ADA, "run r-1", "")) is None
