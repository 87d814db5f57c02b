"""The state of an endpoint whose replicas change, and the sentence that says how far it is and why."""

from modelyard.domain.actions import GivenUp, MarkFailed
from modelyard.domain.endpoints import Endpoint, EndpointSpec, EndpointState, EndpointVersion, VersionState
from modelyard.domain.failures import CRASH_LOOP_FAILURES, UNKNOWN_REASON, failures_in_a_row
from modelyard.domain.fleets import serving_version
from modelyard.domain.replicas import FailureKind, ReplicaFact
from modelyard.domain.traffic import Course


def rollout_state(
    target: EndpointVersion, ready: int, others: list[ReplicaFact], failures: list[ReplicaFact]
) -> EndpointState:
    if ready >= target.spec.replicas and not others:
        return EndpointState.LIVE
    if target.spec.autoscaling and target.state is VersionState.READY and ready and not others and not failures:
        # More replicas on their way to a version that serves are no update.
        return EndpointState.LIVE
    nothing_serves = not ready and serving_version(others) is None
    if nothing_serves and failures and target.state is VersionState.READY:
        out_of_memory = failures[-1].failure is FailureKind.OUT_OF_MEMORY
        return EndpointState.OUT_OF_MEMORY if out_of_memory else EndpointState.ERROR
    return EndpointState.UPDATING


def error_state(endpoint: Endpoint, given_up: GivenUp | None) -> EndpointState:
    """The state of an endpoint whose wished version is given up, now or before."""
    out_of_memory = given_up.out_of_memory if isinstance(given_up, MarkFailed) else endpoint.wished.out_of_memory
    return EndpointState.OUT_OF_MEMORY if out_of_memory else EndpointState.ERROR


def progress_sentence(
    target: EndpointVersion,
    ready: int,
    others: list[ReplicaFact],
    failures: list[ReplicaFact],
    wait_seconds: float | None,
) -> str:
    wanted = target.spec.replicas
    parts = [f"version {target.number}: {ready} of {counted(wanted, 'replica')} ready"]
    if not wanted:
        why = "at zero, the next request starts a replica" if target.spec.autoscaling else "stopped, replicas is 0"
        parts = [f"version {target.number}: {why}"]
    if others:
        parts.append(f"{counted(len(others), 'replica')} of other versions still there")
    loops = len(failures) >= CRASH_LOOP_FAILURES and failures[-1].failure is FailureKind.DIED
    if ready < wanted and loops:
        parts.append(f"crash loop: {len(failures)} replicas ended one after the other")
    if wait_seconds is not None:
        parts.append(f"next start in {wait_seconds:.1f} s")
    # Last, because the lines of a log may follow it.
    if ready < wanted and failures:
        parts.append(f"last failure: {failures[-1].said or UNKNOWN_REASON}")
    return "; ".join(parts)


def fell_back_sentence(
    endpoint: Endpoint, target: EndpointVersion, given_up: GivenUp | None, complete: bool, progress: str
) -> str:
    reason = (given_up.reason if given_up else endpoint.wished.reason) or UNKNOWN_REASON
    instead = f", version {target.number} serves" if complete else f"; {progress}"
    return f"version {endpoint.wished.number} cannot start{instead}: {reason}"


def went_back_sentence(
    endpoint: Endpoint, target: EndpointVersion, given_up: GivenUp | None, complete: bool, progress: str
) -> str:
    reason = (given_up.reason if given_up else endpoint.wished.reason) or UNKNOWN_REASON
    instead = f", version {target.number} serves" if complete else f"; {progress}"
    return f"version {endpoint.wished.number} was rolled back{instead}: {reason}"


def staged_sentence(
    endpoint: Endpoint,
    old: EndpointVersion,
    course: Course,
    told: str,
    ready: dict[int, int],
    sizes: dict[int, int],
    replicas: list[ReplicaFact],
    now: float,
) -> str:
    new = endpoint.wished.number
    parts = [f"version {new}: {told}"]
    if course.progress.began_at is None or ready[new] < sizes[new]:
        parts.append(f"{ready[new]} of {counted(sizes[new], 'replica')} ready")
    if course.progress.percent < 100:
        rest = "the rest" if course.progress.percent else "all requests"
        parts.append(f"version {old.number} answers {rest}")
    else:
        parts.append(f"version {old.number} is kept")
    failures = failures_in_a_row(replicas, new, now)
    if failures:
        parts.append(f"last failure: {failures[-1].said or UNKNOWN_REASON}")
    return "; ".join(parts)


def no_room_sentence(spec: EndpointSpec, ready: int) -> str:
    parts = [f"{spec.cpu_millis}m CPU"] if spec.cpu_millis else []
    parts += [f"{spec.memory_bytes // 2**20} MiB"] if spec.memory_bytes else []
    parts += [counted(spec.gpus, "GPU")] if spec.gpus else []
    needs = " and ".join(parts) or "a place"
    progress = f"{ready} of {counted(spec.replicas, 'replica')} ready"
    return f"{progress}: another needs {needs}, which this machine does not have free"


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
