"""What another client needs to find this yard: lines for a shell, to be evaluated.

eval "$(modelyard env)"
eval "$(modelyard env dvc)"
eval "$(modelyard env mlflow)"
"""

import shlex

from modelyard.domain.names import check_name, nearest
from modelyard.errors import InvalidValue, NotFound
from modelyard.protocol.routes import AWS, DVC, MLFLOW
from modelyard.sdk.address import Address

CLIENTS = ("mlflow", "dvc", "aws")
"""Other people's clients that this yard has a door for."""

DVC_REMOTE = "yard"
"""What the remote is called in the project's DVC configuration."""


def environment_lines(address: Address, client: str | None, remote: str) -> list[str]:
    """Lines for `client`, or for Modelyard's own clients. `remote` names the data remote of DVC.

    Raises InvalidValue for a client that there is no door for, NotFound where the yard's key is not known.
    """
    if client is None:
        return _own(address)
    if client == "dvc":
        return _dvc(address, check_name(remote, "data remote"))
    if client == "mlflow":
        return _mlflow(address)
    if client == "aws":
        return _aws(address)
    close = nearest(client, CLIENTS)
    raise InvalidValue(
        f"cannot print an environment for {client!r}: this yard has no door for it",
        f"did you mean {close}?" if close else f"there are {', '.join(CLIENTS)}, and Modelyard's own without a name",
    )


def _own(address: Address) -> list[str]:
    return [
        f"export MODELYARD_URL={shlex.quote(address.url)}",
        f"export MODELYARD_API_KEY={shlex.quote(_key(address))}",
    ]


def _dvc(address: Address, remote: str) -> list[str]:
    """Only the password is a secret, and only the file that git ignores gets it."""
    url = shlex.quote(f"{address.url}{DVC}/{remote}")
    return [
        f"dvc remote add --force --default {DVC_REMOTE} {url}",
        f"dvc remote modify {DVC_REMOTE} auth basic",
        f"dvc remote modify {DVC_REMOTE} user yard",
        f"dvc remote modify --local {DVC_REMOTE} password {shlex.quote(_key(address))}",
    ]


def _mlflow(address: Address) -> list[str]:
    """The key as a bearer token, which its clients 2.x and 3.x send alike."""
    return [
        f"export MLFLOW_TRACKING_URI={shlex.quote(address.url + MLFLOW)}",
        f"export MLFLOW_TRACKING_TOKEN={shlex.quote(_key(address))}",
    ]


def _aws(address: Address) -> list[str]:
    """Predictions with SageMaker's runtime client; nothing else of AWS is here."""
    return [f"export AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME={shlex.quote(address.url + AWS)}"]


def _key(address: Address) -> str:
    if address.key is None:
        raise NotFound(f"cannot find the key of the yard at {address.url}", "set MODELYARD_API_KEY, or MODELYARD_HOME")
    return address.key
