"""Asks a yard as a user of boto3 does: `client.py ENDPOINT_URL CASE`; prints what came back as JSON."""

import json
import sys
from typing import Any

import boto3
import botocore.config  # pyright: ignore[reportMissingImports] (the guest has it)
import botocore.exceptions  # pyright: ignore[reportMissingImports] (as above)

_CONFIG = botocore.config.Config(retries={"total_max_attempts": 1})


def _runtime(url: str) -> Any:
    return boto3.client(  # pyright: ignore[reportAttributeAccessIssue] (taken for this folder)
        "sagemaker-runtime",
        endpoint_url=url,
        region_name="local",
        aws_access_key_id="any",
        aws_secret_access_key="any",
        config=_CONFIG,
    )


def _shown(answer: dict[str, Any]) -> dict[str, Any]:
    plain = {name: value for name, value in answer.items() if name not in ("Body", "ResponseMetadata")}
    return {**plain, "status": answer["ResponseMetadata"]["HTTPStatusCode"]}


def invoke(runtime: Any) -> Any:
    answer = runtime.invoke_endpoint(
        EndpointName="Echo",
        Body=b'{"n": 1}',
        ContentType="application/json",
        Accept="application/json",
        CustomAttributes="trace=17",
        TargetModel="one.tar.gz",
        InferenceId="inference-17",
    )
    return {**_shown(answer), "body": json.loads(answer["Body"].read())}


def targets_variants(runtime: Any) -> Any:
    """Who answers ten requests, then two that name who is to."""
    ask = {"EndpointName": "price", "Body": b"{}", "ContentType": "application/json"}
    shared = [runtime.invoke_endpoint(**ask)["InvokedProductionVariant"] for _ in range(10)]
    named = {name: runtime.invoke_endpoint(**ask, TargetVariant=name) for name in ("champion", "challenger")}
    return {"shared": shared, "named": {name: json.loads(one["Body"].read()) for name, one in named.items()}}


def misses_a_variant(runtime: Any) -> Any:
    return runtime.invoke_endpoint(EndpointName="price", Body=b"{}", TargetVariant="other")


def invoke_async(runtime: Any) -> Any:
    """A body from the yard's artifacts, as SageMaker's clients name one in S3; `sys.argv[3]` is its place."""
    answer = runtime.invoke_endpoint_async(
        EndpointName="Echo",
        InputLocation=sys.argv[3],
        ContentType="application/json",
        InferenceId="queued-17",
        CustomAttributes="trace=19",
        RequestTTLSeconds=600,
        InvocationTimeoutSeconds=60,
    )
    return _shown(answer)


def invoke_async_from_elsewhere(runtime: Any) -> Any:
    return runtime.invoke_endpoint_async(EndpointName="Echo", InputLocation="s3://bucket/key")


def _of_many(runtime: Any, model: "str | None") -> Any:
    named = {} if model is None else {"TargetModel": model}
    answer = runtime.invoke_endpoint(EndpointName="many", Body="5.1,3.5,1.4,0.2", ContentType="text/csv", **named)
    return {**_shown(answer), "body": json.loads(answer["Body"].read())}


def target_model(runtime: Any) -> Any:
    return _of_many(runtime, "iris.tar.gz")


def target_model_of_a_folder(runtime: Any) -> Any:
    return _of_many(runtime, "eu/iris")


def no_target_model(runtime: Any) -> Any:
    return _of_many(runtime, None)


def unknown_target_model(runtime: Any) -> Any:
    return _of_many(runtime, "missing.tar.gz")


def bare(runtime: Any) -> Any:
    answer = runtime.invoke_endpoint(
        EndpointName="iris", Body="5.1,3.5,1.4,0.2", ContentType="text/csv", Accept="text/csv"
    )
    return {**_shown(answer), "body": answer["Body"].read().decode()}


def stream(runtime: Any) -> Any:
    return _streamed(runtime, b'{"parts": ["a", "b", "\\u00fc"]}')


def stream_of_one(runtime: Any) -> Any:
    return _streamed(runtime, b'{"n": 1}')


def stream_breaks(runtime: Any) -> Any:
    return _streamed(runtime, b'{"parts": ["a"], "then": "raise"}')


def stream_fails(runtime: Any) -> Any:
    return _streamed(runtime, b'{"raise": "no"}')


def _streamed(runtime: Any, body: bytes) -> Any:
    answer = runtime.invoke_endpoint_with_response_stream(
        EndpointName="Echo", Body=body, ContentType="application/json", Accept="*/*", CustomAttributes="trace=18"
    )
    parts: list[str] = []
    try:
        for event in answer["Body"]:
            parts.append(event["PayloadPart"]["Bytes"].decode())  # noqa: PERF401 (what came before an error counts)
    except botocore.exceptions.EventStreamError as error:
        return {**_shown(answer), "parts": parts, "error": error.response["Error"], "rest": _rest(error)}
    return {**_shown(answer), "parts": parts}


def raises(runtime: Any) -> Any:
    return runtime.invoke_endpoint(EndpointName="Echo", Body=b'{"raise": "no"}', ContentType="application/json")


def answers_an_error(runtime: Any) -> Any:
    return runtime.invoke_endpoint(EndpointName="Echo", Body=b'{"status": 418}', ContentType="application/json")


def unreadable(runtime: Any) -> Any:
    return runtime.invoke_endpoint(EndpointName="iris", Body=b"what?", ContentType="application/pdf")


def missing(runtime: Any) -> Any:
    return runtime.invoke_endpoint(EndpointName="nowhere", Body=b"{}")


def too_large(runtime: Any) -> Any:
    return runtime.invoke_endpoint(EndpointName="Echo", Body=b"x" * (7 * 2**20))


def _rest(error: botocore.exceptions.ClientError) -> dict[str, Any]:
    return {name: value for name, value in error.response.items() if name not in ("Error", "ResponseMetadata")}


def main() -> None:
    url, case = sys.argv[1:3]
    try:
        found = globals()[case](_runtime(url))
    except botocore.exceptions.ClientError as error:
        found = {
            "raised": type(error).__name__,
            "status": error.response["ResponseMetadata"]["HTTPStatusCode"],
            "error": error.response["Error"],
            **_rest(error),
        }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
