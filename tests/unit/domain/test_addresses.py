"""What a gateway may be made to ask, and what it may not."""

import pytest

from modelyard.domain.addresses import targets_from, why_refused
from modelyard.errors import InvalidValue


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::", "169.254.169.254", "fe80::1%eth0", "::ffff:127.0.0.1",
        "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::", "224.0.0.1", "255.255.255.255", "100.64.0.1",
        "240.0.0.1", "ff02::1", "fd00:ec2::254",
    ],
)  # fmt: skip
def test_this_machine_its_link_and_what_stands_for_them_are_refused(address: str) -> None:
    assert why_refused(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "10.0.0.5", "192.168.1.20", "2606:2800:220:1::1", "fd00::5"])
def test_other_machines_may_be_asked(address: str) -> None:
    assert why_refused(address) is None


def test_what_the_owner_allows_is_an_address_with_a_port() -> None:
    assert targets_from(["127.0.0.1:9000", "[::1]:80"]) == {("127.0.0.1", 9000), ("::1", 80)}
    for word in ("localhost:1", "127.0.0.1", "127.0.0.1:x"):
        with pytest.raises(InvalidValue):
            targets_from([word])
