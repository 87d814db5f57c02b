"""Tokens that the yard makes for processes of its own, in place of its key. Each is a signature under that key, so
nothing has to be remembered.

    myj.RUN.SIGNATURE    a job's: what its script shows to the tracking server; good for tracking alone, while the run
                         goes on; what it may reach is the door's to say
    myt.SIGNATURE        the tracking server's: what it shows to the yard's interface; good for the registry alone
"""

import hashlib
import hmac

from modelyard.domain.tokens import Prefix, prefix_of

_PURPOSE = b"modelyard job token\0"
_TRACKING_PURPOSE = b"modelyard tracking server token"


def job_token(key: str, run: str) -> str:
    """The token of a run; `key` is the yard's."""
    return f"{Prefix.TRACKING_JOB}{run}.{_signature(key, run)}"


def run_of(key: str, token: str) -> str | None:
    """The run whose token this is, None where it is none of this yard's."""
    run, _, signature = token.removeprefix(Prefix.TRACKING_JOB).rpartition(".")
    if prefix_of(token) is not Prefix.TRACKING_JOB or not run or not signature.isascii():
        return None
    return run if hmac.compare_digest(signature, _signature(key, run)) else None


def tracking_token(key: str) -> str:
    """The tracking server's token; `key` is the yard's."""
    return Prefix.TRACKING_SERVER + hmac.new(key.encode(), _TRACKING_PURPOSE, hashlib.sha256).hexdigest()


def may_be_tracking_token(token: str) -> bool:
    """By its shape, which says whether the yard's key need be looked at."""
    return prefix_of(token) is Prefix.TRACKING_SERVER and token.isascii()


def is_tracking_token(key: str, token: str) -> bool:
    return may_be_tracking_token(token) and hmac.compare_digest(token, tracking_token(key))


def _signature(key: str, run: str) -> str:
    return hmac.new(key.encode(), _PURPOSE + run.encode(), hashlib.sha256).hexdigest()
