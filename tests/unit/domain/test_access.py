"""Who may do what, and who may come in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.access import (
    LOCK_SECONDS_MAX,
    OWNER,
    ROLES,
    Entry,
    Grant,
    Policy,
    Principal,
    PrincipalKind,
    Role,
    allows,
    check_email,
    check_grant,
    check_password,
    decide_entry,
    has_anywhere,
    locked_seconds,
    policy_document,
    policy_from,
    remedy_of,
    role_from,
    role_on,
    within,
)
from modelyard.domain.users import ApiKey, User, key_principal, principal_document, principal_from, user_principal
from modelyard.errors import InvalidValue

PRICE = "endpoint/price"

grants = st.builds(
    Grant, st.sampled_from(Role), st.sampled_from([None, "shop", "other"]), st.sampled_from([None, PRICE])
).filter(lambda one: one.project is None or one.resource is None)
principals = st.builds(
    Principal,
    st.sampled_from([PrincipalKind.USER, PrincipalKind.KEY]),
    st.just("ada@a.org"),
    st.lists(grants, max_size=4).map(tuple),
    st.lists(st.sampled_from(["Team", "guests"]), unique=True).map(tuple),
    st.booleans(),
)


def user(*granted: Grant, groups=(), **fields) -> Principal:
    return Principal(PrincipalKind.USER, "ada@a.org", granted, groups, **fields)


def test_the_owner_may_do_everything():
    assert allows(OWNER, Role.ADMIN)
    assert allows(OWNER, Role.ADMIN, "shop", PRICE)


@pytest.mark.parametrize("kind", ["endpoint", "app", "function"])
def test_what_shares_its_names_is_granted_by_any_of_its_kinds(kind):
    given = Principal(PrincipalKind.KEY, "k-1", (check_grant("caller", None, f"{kind}/double"),))
    for asked in ("endpoint", "app", "function"):
        assert allows(given, Role.CALLER, "shop", f"{asked}/Double")
    assert not allows(given, Role.CALLER, "shop", "site/double")
    assert not allows(given, Role.CALLER, "shop", f"{kind}/triple")


def test_a_grant_reaches_the_yard_a_project_or_one_resource():
    assert allows(user(Grant(Role.VIEWER)), Role.VIEWER, "shop", PRICE)
    in_project = user(Grant(Role.DEPLOYER, "Shop"))
    assert allows(in_project, Role.DEPLOYER, "shop", PRICE)
    assert not allows(in_project, Role.CALLER, "other", "endpoint/other")
    assert not allows(in_project, Role.CALLER)
    on_one = user(Grant(Role.CALLER, resource="endpoint/Price"))
    assert role_on(on_one, "shop", PRICE) is Role.CALLER
    assert role_on(on_one, "shop", "endpoint/other") is None
    assert role_on(on_one, "shop", "site/price") is None


@given(principals, st.sampled_from(Role), st.sampled_from([None, "shop"]), st.sampled_from([None, PRICE]))
def test_a_higher_role_may_what_a_lower_one_may(principal, role, project, resource):
    if allows(principal, role, project, resource):
        assert all(allows(principal, lower, project, resource) for lower in Role if lower <= role)
        assert has_anywhere(principal, role)


@given(principals)
def test_who_owes_a_new_password_may_nothing(principal):
    owing = Principal(principal.kind, principal.id, principal.grants, principal.groups, must_change_password=True)
    assert not any(allows(owing, role) or has_anywhere(owing, role) for role in Role)
    assert decide_entry(Policy("login"), owing, "10.0.0.1", "shop", PRICE) is Entry.REFUSED


@given(principals, st.lists(grants, max_size=3))
def test_nobody_gives_more_than_they_have(principal, given_away):
    missing = within(given_away, principal)
    key = ApiKey("k-1", "ci", "ada@a.org", tuple(given_away), 0.0)
    holder = key_principal(key, principal, 1.0)
    if holder is not None:
        assert within(holder.grants, principal) is None
        assert (holder.grants == tuple(given_away)) == (missing is None)


@pytest.mark.parametrize(
    ("way", "principal", "entry"),
    [
        ("public", None, Entry.OPEN),
        ("key", None, Entry.NEEDS_CREDENTIAL),
        ("key", user(), Entry.REFUSED),
        ("key", user(Grant(Role.CALLER, "shop")), Entry.OPEN),
        ("login", user(), Entry.OPEN),
        ("login", None, Entry.NEEDS_CREDENTIAL),
        ("login", Principal(PrincipalKind.KEY, "k-1"), Entry.REFUSED),
        ("groups", user(groups=("Team",)), Entry.OPEN),
        ("groups", user(Grant(Role.CALLER)), Entry.REFUSED),
        ("groups", user(Grant(Role.DEPLOYER, "shop")), Entry.OPEN),
        ("groups", Principal(PrincipalKind.KEY, "k-1", (Grant(Role.CALLER),)), Entry.OPEN),
        ("key", OWNER, Entry.OPEN),
        ("groups", OWNER, Entry.OPEN),
    ],
)
def test_a_policy_lets_in_whom_it_names(way, principal, entry):
    policy = Policy(way, ("team",) if way == "groups" else ())
    assert decide_entry(policy, principal, "10.0.0.1", "shop", PRICE) is entry


@pytest.mark.parametrize(
    ("policy", "principal", "remedy"),
    [
        (Policy("groups", ("analysts",)), user(), "it is for the group analysts; an admin can take you in"),
        (Policy("groups", ("a", "b")), user(), "it is for one of the groups a, b; an admin can take you in"),
        (Policy("groups", ("a",)), user(must_change_password=True), "sign in to the console first"),
        (Policy("groups", ("a",)), Principal(PrincipalKind.KEY, "k-1"), "an admin can grant the role of a caller"),
        (Policy("login", addresses=("192.168.0.0/16",)), user(), "it is open to some addresses only"),
        (Policy("key"), user(), "an admin can grant the role of a caller"),
    ],
)
def test_who_is_refused_is_told_what_would_help(policy, principal, remedy):
    assert decide_entry(policy, principal, "10.0.0.1", "shop", PRICE) is Entry.REFUSED
    assert remedy_of(policy, principal, "10.0.0.1").startswith(remedy)


@pytest.mark.parametrize("way", ["public", "key"])
def test_addresses_narrow_every_way(way):
    policy = Policy(way, addresses=("10.0.0.0/8", "::1/128"))
    assert decide_entry(policy, OWNER, "10.1.2.3", "shop", PRICE) is Entry.OPEN
    assert decide_entry(policy, OWNER, "::ffff:10.1.2.3", "shop", PRICE) is Entry.OPEN
    assert decide_entry(policy, OWNER, "::1", "shop", PRICE) is Entry.OPEN
    assert decide_entry(policy, OWNER, "11.1.2.3", "shop", PRICE) is Entry.REFUSED
    assert decide_entry(policy, OWNER, "no address", "shop", PRICE) is Entry.REFUSED


def test_a_policy_is_read_from_a_word_or_a_map_and_written_again():
    assert policy_from("public") == Policy("public")
    assert policy_from({"groups": ["team"]}) == Policy("groups", ("team",))
    read = policy_from({"way": "key", "addresses": ["10.0.0.0/8"]})
    assert read == Policy("key", addresses=("10.0.0.0/8",))
    assert policy_from(policy_document(read)) == read


@pytest.mark.parametrize(
    "written",
    ["open", 7, {"group": ["a"]}, {"groups": []}, {"groups": "team"}, {"way": "key", "groups": ["a"]},
     {"way": "key", "addresses": ["10.0.0.1/8"]}, {"way": "groups"}],
)  # fmt: skip
def test_a_policy_that_cannot_be_meant_is_refused(written):
    with pytest.raises(InvalidValue, match="cannot use access"):
        policy_from(written)


def test_roles_and_grants_are_read_with_the_nearest_as_hint():
    assert [role_from(word) for word in ROLES] == list(Role)
    with pytest.raises(InvalidValue) as refused:
        role_from("deplyer")
    assert refused.value.hint == "did you mean deployer?"
    assert check_grant("caller", None, PRICE) == Grant(Role.CALLER, resource=PRICE)
    for project, resource in (("shop", PRICE), ("no label", None), (None, "price"), (None, "endpiont/price")):
        with pytest.raises(InvalidValue):
            check_grant("caller", project, resource)


def test_a_disabled_user_is_nobody():
    assert user_principal(User("ada@a.org", "Ada", 0.0, disabled=True), ()) is None


@given(principals)
def test_a_principal_survives_being_written_down(principal):
    assert principal_from(principal_document(principal)) == principal


def test_addresses_are_compared_in_lower_case():
    assert check_email(" Ada@Example.org ") == "ada@example.org"
    for text in ("ada", "@a.org", "ada@", "a b@c.d", "ada@host\n.org", "a" * 300 + "@b.org"):
        with pytest.raises(InvalidValue, match="e-mail"):
            check_email(text)


def test_passwords_are_long_and_not_easily_guessed():
    assert check_password("correct horse battery", "ada@a.org")
    for password in ("short", "x" * 300, "aaaaaaaaaaaaaa", "my ada@a.org word"):
        with pytest.raises(InvalidValue, match="cannot use this password"):
            check_password(password, "ada@a.org")


def test_an_account_waits_longer_with_each_wrong_password_up_to_a_bound():
    waits = [locked_seconds(failures) for failures in range(40)]
    assert waits[:5] == [0.0] * 5
    assert waits[5] > 0
    assert waits == sorted(waits)
    assert waits[-1] == LOCK_SECONDS_MAX
