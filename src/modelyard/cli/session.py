"""The yard that a command speaks to."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelyard.sdk.client import Client


def open_client() -> "Client":
    """Raises YardDown where no yard is to be found."""
    from modelyard.sdk.client import Client  # noqa: PLC0415 (`--help` and `version` must not wait for it)

    return Client()
