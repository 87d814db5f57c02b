"""One process that scores: forked by the coordinator before anything heavy is imported, it loads as a replica does.

It is told a piece at a time and answers each; after every request to the model it says `beat`, so that the coordinator
knows a long piece from one call that hangs.
"""

import os
import signal
import socket
import sys
from typing import Any, Dict

from modelyard_worker import csv_numbers, media, numeric
from modelyard_worker.batching import report, summary
from modelyard_worker.packages import read_package
from modelyard_worker.predictor import load_servable
from modelyard_worker.process_tree import die_with_parent
from modelyard_worker.request import Refusal
from modelyard_worker.servable import Serving
from modelyard_worker.transform import messages, tables
from modelyard_worker.transform.chunks import changed
from modelyard_worker.transform.objects import Format, identity_of
from modelyard_worker.transform.plan import TransformPlan
from modelyard_worker.transform.scoring import Failed, Scored, Scoring, strategy_for


def run_scorer(wire: socket.socket, plan: TransformPlan, threads: int, parent: int) -> int:
    """Until the coordinator is gone; 1 where the package cannot be loaded, which it was told."""
    die_with_parent(parent)
    for number in (signal.SIGTERM, signal.SIGINT):
        # The coordinator is told, and ends its scorers when their last piece is written down.
        signal.signal(number, signal.SIG_IGN)
    numeric.allow_threads(threads)
    try:
        csv_numbers.prepare()
        serving = Serving(plan.endpoint or plan.name, plan.version, job=plan.job)
        servable = load_servable(read_package(plan.package), serving, threads)
    except (Exception, SystemExit) as error:  # noqa: BLE001 (importing the user's code raises what it likes)
        report("cannot load the package", error)
        messages.send(wire, {"failed": summary(error)})
        return 1
    scoring = Scoring(plan, servable, lambda: messages.send(wire, {"beat": True}))
    messages.send(wire, {"ready": True, "completes": scoring.completes})
    pieces = _Pieces(plan, scoring, strategy_for(plan, servable))
    while True:
        try:
            head, body = messages.receive(wire)
        except EOFError:
            return 0
        answer, answered = pieces.answer(head, body)
        sys.stdout.flush()
        messages.send(wire, answer, answered)


class _Pieces:
    """Answers what the coordinator asks."""

    def __init__(self, plan: TransformPlan, scoring: Scoring, strategy: str) -> None:
        self._plan = plan
        self._scoring = scoring
        self._strategy = strategy

    def answer(self, head: Dict[str, Any], body: bytes) -> messages.Message:
        try:
            if "seal" in head:
                tables.seal(head["seal"])
                return {"sealed": True}, b""
            if "complete" in head:
                self._scoring.complete()
                return {"completed": True}, b""
            return self._score(head, body)
        except Failed as failure:
            return {"failed": failure.message, "record": failure.record, "lasting": failure.lasting}, b""
        except (Refusal, _InputFailed) as error:
            return {"failed": str(error), "lasting": True}, b""
        except Exception as error:  # noqa: BLE001 (a file of another form, a library's own error)
            report(f"cannot score a piece of {head['name']}" if "name" in head else "cannot complete the job", error)
            return {"failed": summary(error), "lasting": False}, b""

    def _score(self, head: Dict[str, Any], body: bytes) -> messages.Message:
        found = Format(*head["format"])
        if found.kind == media.PARQUET:
            return self._score_group(head, found)
        if head["path"] is not None:
            body = _read(head)
        scored: Scored = self._scoring.score(head["name"], found, body, bytes.fromhex(head["header"]))
        return {"records": scored.records}, scored.body

    def _score_group(self, head: Dict[str, Any], found: Format) -> messages.Message:
        _check_identity(head["path"], head["identity"])
        group = tables.score_group(
            self._plan, head["path"], head["begin"], self._strategy, found.accept, self._scoring.asking(head["name"])
        )
        return {"records": group.records, "pieces": group.groups}, group.body


class _InputFailed(Exception):  # noqa: N818 (reads as what happened)
    """The input cannot be read, or is another than when it was listed."""


def _check_identity(path: str, identity: str) -> None:
    try:
        found = os.stat(path)
    except OSError as error:
        raise _InputFailed(f"cannot read {path}: {error.strerror}") from error
    if identity_of(found) != identity:
        raise _InputFailed(changed(path))


def _read(head: Dict[str, Any]) -> bytes:
    """A piece's bytes, out of the very file that was listed."""
    path = head["path"]
    try:
        with open(path, "rb", buffering=0) as file:
            if identity_of(os.fstat(file.fileno())) != head["identity"]:
                raise _InputFailed(changed(path))
            file.seek(head["begin"])
            wanted = min(head["end"], os.fstat(file.fileno()).st_size) - head["begin"]
            parts = bytearray()
            while len(parts) < wanted:
                part = file.read(wanted - len(parts))
                if not part:
                    raise _InputFailed(changed(path))
                parts += part
            return bytes(parts)
    except OSError as error:
        raise _InputFailed(f"cannot read {path}: {error.strerror}") from error
