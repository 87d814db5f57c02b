"""What a job shows when it asks the yard: a token of its own, narrow, good as long as its run goes on."""

import hashlib
import secrets

from modelyard.domain.runs import Run
from modelyard.domain.tokens import Prefix, job_token_for
from modelyard.store.ports import Keys

KEY_VARIABLE = "MODELYARD_API_KEY"
URL_VARIABLE = "MODELYARD_URL"


def give_job_token(keys: Keys, run: Run, now: float) -> dict[str, str]:
    """The variable with a new token for the run's job; the one before is good no more. Nothing where the training
    itself says which yard to ask and how."""
    if {KEY_VARIABLE, URL_VARIABLE} & (run.spec.environment.keys() | run.spec.secrets.keys()):
        return {}
    token = Prefix.JOB + secrets.token_urlsafe(32)
    keys.put_job_token(hashlib.sha256(token.encode()).hexdigest(), job_token_for(run, now))
    return {KEY_VARIABLE: token}
