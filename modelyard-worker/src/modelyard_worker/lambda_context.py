"""What a handler is told beside its event: AWS Lambda's context object, and the variables that Lambda sets."""

import base64
import binascii
import json
import os
import time
from typing import Any, Dict, Mapping, Optional, cast

from modelyard_worker.servable import Serving

VERSION = "$LATEST"
REGION = "local"
ACCOUNT = "000000000000"
CLIENT_CONTEXT = "x-amz-client-context"
TRACE = "x-amzn-trace-id"
MEMORY_MEGABYTES = 128
"""Lambda's own default; stated where a function is not bounded."""


def function_arn(name: str) -> str:
    """Shaped as AWS has it, because clients take it apart."""
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"


def memory_megabytes(serving: Serving) -> int:
    return (serving.memory_bytes or MEMORY_MEGABYTES * 2**20) // 2**20


def handler_variables(serving: Serving, handler: str, folder: str) -> Dict[str, str]:
    """The variables that Lambda documents as set for a function; `folder` has its code."""
    return {
        "AWS_LAMBDA_FUNCTION_NAME": serving.endpoint,
        "AWS_LAMBDA_FUNCTION_VERSION": VERSION,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory_megabytes(serving)),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{serving.endpoint}",
        "AWS_LAMBDA_LOG_STREAM_NAME": f"{serving.version}/{os.getpid()}",
        "LAMBDA_TASK_ROOT": folder,
        "_HANDLER": handler,
    }


def set_variables(variables: Mapping[str, str]) -> None:
    """Into this process's environment. A region is needed by AWS's own clients, and the user's own choice wins."""
    os.environ.update(variables)
    os.environ.setdefault("AWS_REGION", REGION)
    os.environ.setdefault("AWS_DEFAULT_REGION", os.environ["AWS_REGION"])


class CognitoIdentity:
    """Who a mobile client is; nobody, here."""

    cognito_identity_id: Optional[str] = None
    cognito_identity_pool_id: Optional[str] = None

    def __repr__(self) -> str:
        return "CognitoIdentity([cognito_identity_id=None,cognito_identity_pool_id=None])"


class Client:
    """The application that a caller says it is."""

    def __init__(self, found: Mapping[str, Any]) -> None:
        self.installation_id = found.get("installation_id")
        self.app_title = found.get("app_title")
        self.app_version_name = found.get("app_version_name")
        self.app_version_code = found.get("app_version_code")
        self.app_package_name = found.get("app_package_name")


class ClientContext:
    """What a caller sent as X-Amz-Client-Context."""

    def __init__(self, found: Mapping[str, Any]) -> None:
        self.custom: Optional[Dict[str, Any]] = found.get("custom")
        self.env: Optional[Dict[str, Any]] = found.get("env")
        client = found.get("client")
        self.client = Client(client) if client else None


class LambdaContext:
    """The `context` of one invocation, with the attributes and methods of awslambdaric's."""

    def __init__(self, serving: Serving, request_id: str, deadline: float, client_context: Optional[str]) -> None:
        """`deadline` is wall clock. Raises ValueError where the client's context is no JSON in base64."""
        self.aws_request_id = request_id
        self.function_name = serving.endpoint
        self.function_version = VERSION
        self.invoked_function_arn = function_arn(serving.endpoint)
        self.memory_limit_in_mb = str(memory_megabytes(serving))
        self.log_group_name = f"/aws/lambda/{serving.endpoint}"
        self.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME", "")
        self.identity = CognitoIdentity()
        self.client_context = ClientContext(read_client_context(client_context)) if client_context else None
        self.tenant_id: Optional[str] = None
        self._deadline = deadline

    def get_remaining_time_in_millis(self) -> int:
        """Until the invocation is broken off; never below 0."""
        return max(0, int((self._deadline - time.time()) * 1000))

    def log(self, message: Any) -> None:
        """Writes to the function's log as it is."""
        print(message, end="", flush=True)

    def __repr__(self) -> str:
        shown = ("aws_request_id", "log_group_name", "log_stream_name", "function_name", "memory_limit_in_mb")
        shown += ("function_version", "invoked_function_arn", "client_context", "identity", "tenant_id")
        return f"LambdaContext([{','.join(f'{name}={getattr(self, name)}' for name in shown)}])"


def read_client_context(given: str) -> Dict[str, Any]:
    """Raises ValueError where it is no JSON object in base64."""
    try:
        found: Any = json.loads(base64.b64decode(given, validate=True))
    except binascii.Error as error:
        raise ValueError(str(error)) from error
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return cast("Dict[str, Any]", found)
