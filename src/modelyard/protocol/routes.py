"""Paths, headers and limits that more than one process must agree on."""

API = "/api/v1"
CONSOLE = "/console"
LOGIN = f"{CONSOLE}/login"
"""Where a browser signs in; `?next=` says where it goes afterwards."""
NEXT_LENGTH_MAX = 2048
"""Of `next`: the way to an app has the app's own address in it, each of its characters up to three long."""
ENDPOINTS = "/endpoints/"
INVOCATIONS = "/invocations"
ASYNC_INVOCATIONS = "/async-invocations"
FUNCTIONS = "/functions/"
GATEWAYS = "/gateways/"
LAMBDA = "/2015-03-31/functions/"
"""Where Lambda's clients post invocations to."""
AWS = "/aws"
DVC = "/dvc"
"""Data remotes, `/dvc/NAME`."""
TENSORS = "/v2"
"""The Open Inference Protocol."""
MLFLOW = "/mlflow"
"""The tracking server: its clients' API and its pages."""
HEALTH = "/healthz"
READY = "/readyz"
METRICS = "/metrics"

RESERVED_NAMES = frozenset(
    {
        "api",
        "async-invocations",
        "aws",
        "console",
        "dvc",
        "endpoints",
        "functions",
        "gateways",
        "healthz",
        "invocations",
        "login",
        "logout",
        "metrics",
        "mlflow",
        "models",
        "ping",
        "readyz",
        "static",
        "v1",
        "v2",
    }
)
"""First parts of paths that are the yard's own, or may become so. No endpoint is called so, by `name_key`: Cortex's
clients post to `/NAME`."""

REQUEST_ID = "x-request-id"
REQUEST_ID_LENGTH_MAX = 128
KEY = "x-api-key"
"""Beside `Authorization: Bearer KEY`."""

SESSION_COOKIE = "modelyard_session"
SECURE_SESSION_COOKIE = f"__Host-{SESSION_COOKIE}"
"""Over TLS: no other host and no plain connection can set it (RFC 6265bis, 4.1.3)."""

ENDLESS = "x-modelyard-endless"
"""Of an answer that goes on for as long as what it tells of: a gateway that is going does not wait for its end."""

REPLICA_COOKIE = "modelyard_replica"
"""At an app's origin: the replica that a visitor comes back to."""

APP_COOKIE = "modelyard_app"
SECURE_APP_COOKIE = f"__Host-{APP_COOKIE}"
"""At an app's or a site's origin: who somebody is there, and nowhere else."""
ENTRY_COOKIE = "modelyard_entry"
"""There too, while somebody signs in: what ties the code that they come back with to their browser."""

ENTRANCE = "/_modelyard"
"""What the yard itself answers at the origins of apps and sites."""

PLACE = "x-modelyard-place"
"""What a gateway, and nobody else, tells control of a request that came to a port of an app's own: `HOST:PORT`."""

ATTEMPT = "x-modelyard-attempt"
TIMEOUT = "x-modelyard-timeout-seconds"
BODY_FILE = "x-modelyard-body-file"
"""What a dispatcher says of an invocation on the gateway's own socket, where only the yard's processes come: which
attempt it is, how long it may take, and the path of the file that has its body."""

TARGET_VARIANT = "x-amzn-sagemaker-target-variant"
"""SageMaker's header that names who is to answer, whatever the weights are."""

TARGET_MODEL = "x-amzn-sagemaker-target-model"
"""SageMaker's header that names one of the models of an endpoint with many; `NAME/VERSION` names a version of it."""

WEBHOOK = "x-modelyard-webhook"
"""An address that is told the end of this invocation; from whoever holds a key."""

ASYNC_BODY_BYTES_MAX = 2**30
"""Of a queued invocation, whatever the endpoint's own limit; SageMaker's."""

HEADER_BYTES_MAX = 64 * 2**10
"""All headers of one request together; beyond it 431."""

BODY_BYTES_MAX_API = 8 * 2**20
"""Bodies of control requests that are not streamed to disk."""
