"""Tokens of jobs: what a training's script shows to the tracking server in place of the yard's key.

`myj.RUN.SIGNATURE`: the signature is of the run's id, under the yard's key, so nothing has to be remembered. A token is
good for tracking alone, while its run goes on; what it may reach is the door's to say.
"""

import hashlib
import hmac

_PREFIX = "myj"
_PURPOSE = b"modelyard job token\0"


def job_token(key: str, run: str) -> str:
    """The token of a run; `key` is the yard's."""
    return f"{_PREFIX}.{run}.{_signature(key, run)}"


def run_of(key: str, token: str) -> str | None:
    """The run whose token this is, None where it is none of this yard's."""
    prefix, _, rest = token.partition(".")
    run, _, signature = rest.rpartition(".")
    if prefix != _PREFIX or not run or not signature.isascii():
        return None
    return run if hmac.compare_digest(signature, _signature(key, run)) else None


def _signature(key: str, run: str) -> str:
    return hmac.new(key.encode(), _PURPOSE + run.encode(), hashlib.sha256).hexdigest()
