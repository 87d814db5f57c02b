"""The first frame each way: who is there, which protocol, and proof of the replica's token.

The gateway sends HELLO with

    versions  [oldest, newest] of the protocol        replica  id of the replica it means to reach
    package   digest it expects there                 gateway  8 hex digits; request ids begin with them
    nonce     16 random bytes, hex                    proof    HMAC-SHA256(token, "gateway:" replica ":" nonce)
    times?    true where answers are to say how long they took (TIMED)

and the replica answers HELLO with

    version   the newest that both speak              replica, package  its own
    proof     HMAC-SHA256(token, "replica:" replica ":" nonce)
    max_in_flight    requests it takes at once        wants    what it reads beside the body: "headers",
                                                              "query", "path" (and the method: a web application),
                                                              "model" (which of several is asked)
    batches   whether one call can hold several        web?   where an app's own server listens, HOST:PORT

or GOAWAY with `error`, and closes. The token is made by the controller for one replica and stands only in files that
their owner alone can read.
"""

import hashlib
import hmac
import secrets
from typing import Any, Dict, Optional, Tuple

from modelyard_worker.frames import VERSIONS, ProtocolError

HANDSHAKE_SECONDS = 5.0


def proof(token: str, side: str, replica: str, nonce: str) -> str:
    """`side` is "gateway" or "replica"."""
    return hmac.new(token.encode(), f"{side}:{replica}:{nonce}".encode(), hashlib.sha256).hexdigest()


def greeting(token: str, replica: str, package: str, gateway: str) -> Dict[str, Any]:
    """What a gateway says first."""
    nonce = secrets.token_hex(16)
    return {
        "versions": list(VERSIONS),
        "replica": replica,
        "package": package,
        "gateway": gateway,
        "nonce": nonce,
        "proof": proof(token, "gateway", replica, nonce),
    }


def check_greeting(meta: Dict[str, Any], token: str, replica: str, package: str) -> Tuple[int, str]:
    """What a replica makes of a gateway's HELLO: (version to speak, proof to answer). Raises ProtocolError."""
    nonce, given = str(meta.get("nonce", "")), str(meta.get("proof", ""))
    if meta.get("replica") != replica or meta.get("package") != package:
        raise ProtocolError(f"cannot serve: this is replica {replica} of package {package[:12]}")
    if len(nonce) != 32 or not hmac.compare_digest(given, proof(token, "gateway", replica, nonce)):
        raise ProtocolError("cannot serve: the token is not this replica's")
    return choose_version(meta.get("versions")), proof(token, "replica", replica, nonce)


def check_answer(meta: Dict[str, Any], greeted: Dict[str, Any], token: str) -> int:
    """What a gateway makes of a replica's HELLO: the version to speak. Raises ProtocolError."""
    expected = proof(token, "replica", greeted["replica"], greeted["nonce"])
    if meta.get("replica") != greeted["replica"] or meta.get("package") != greeted["package"]:
        raise ProtocolError(f"cannot use the process at this socket: it is not replica {greeted['replica']}")
    if not hmac.compare_digest(str(meta.get("proof", "")), expected):
        raise ProtocolError(f"cannot use replica {greeted['replica']}: it does not know its token")
    version: Optional[Any] = meta.get("version")
    if not isinstance(version, int) or not VERSIONS[0] <= version <= VERSIONS[1]:
        raise ProtocolError(f"cannot speak version {version!r} of the frames: {VERSIONS[0]} to {VERSIONS[1]} are known")
    return version


def choose_version(offered: Any) -> int:
    """The newest version that both sides speak. Raises ProtocolError where there is none."""
    try:
        oldest, newest = int(offered[0]), int(offered[1])
    except (TypeError, ValueError, IndexError, KeyError) as error:
        raise ProtocolError("cannot read the protocol versions that were offered") from error
    version = min(newest, VERSIONS[1])
    if version < max(oldest, VERSIONS[0]):
        raise ProtocolError(
            f"cannot speak: versions {oldest} to {newest} were offered, {VERSIONS[0]} to {VERSIONS[1]} are known here"
        )
    return version
