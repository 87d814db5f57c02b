"""TLS beside the plain port: one certificate for all, renewed without a restart; other machines are sent there."""

import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from modelyard.gateway.tls import Tls, TlsPlace
from modelyard.protocol.ports import read_ports
from modelyard.protocol.table import HostEntry, Table, table_document
from modelyard.settings import Home
from modelyard.store.certificates import CERTIFICATE_DAYS, RENEW_DAYS, authority_path, local_certificate

NAMES = ("localhost", "127.0.0.1", "yard.example")


@dataclass
class Encrypted:
    plain_port: int
    port: int
    own_port: int
    """Of a site that has one."""
    trust: ssl.SSLContext
    process: subprocess.Popen[bytes]


def own_address() -> str | None:
    """An address of this machine that is not loopback; no packet is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address = str(asking.getsockname()[0])
    return None if address.startswith("127.") else address


@pytest.fixture
def encrypted(home: Home) -> Iterator[Encrypted]:
    certificate = local_certificate(home.tls, NAMES)
    with socket.create_server(("127.0.0.1", 0)) as free:
        own_port = int(free.getsockname()[1])
    hosts = {"site/docs": HostEntry("site", "docs", site="nowhere", port=own_port)}
    home.table.write_text(json.dumps(table_document(Table(1, {}, hosts))))
    listening = [socket.create_server(("0.0.0.0", 0)) for _ in range(2)]
    plain, other = (one.fileno() for one in listening)
    command = [sys.executable, "-m", "modelyard.processes.gateway", "--home", str(home.root), "--fd", str(plain)]
    command += ["--tls-fd", str(other), "--tls-certificate", str(certificate.chain), "--tls-key", str(certificate.key)]
    with (home.logs / "gateway.log").open("ab") as log:
        process = subprocess.Popen([*command, "--name", "yard.example"], pass_fds=(plain, other), stderr=log)
    trust = ssl.create_default_context(cafile=str(authority_path(home.tls)))
    ports = [one.getsockname()[1] for one in listening]
    yield Encrypted(ports[0], ports[1], own_port, trust, process)
    process.kill()
    process.wait()
    for one in listening:
        one.close()


def test_what_trusts_the_authority_is_answered_over_tls_and_nothing_else(encrypted: Encrypted) -> None:
    url = f"https://127.0.0.1:{encrypted.port}/healthz"
    assert httpx.get(url, verify=encrypted.trust, timeout=20).json() == {"status": "ok"}
    with pytest.raises(httpx.ConnectError, match="certificate"):
        httpx.get(url, timeout=20)


def test_a_port_of_a_sites_own_speaks_tls_with_the_same_certificate_and_sends_those_there_who_do_not(
    encrypted: Encrypted, home: Home
) -> None:
    limit = time.monotonic() + 20
    while encrypted.own_port not in read_ports(home.ports):
        assert time.monotonic() < limit
        time.sleep(0.02)
    answer = httpx.get(f"https://127.0.0.1:{encrypted.own_port}/healthz", verify=encrypted.trust, timeout=20)
    assert answer.json()["error"]["message"].startswith("cannot read the site"), "no path of it is the yard's"
    plain = httpx.get(f"http://127.0.0.1:{encrypted.own_port}/a?b=1", timeout=20)
    assert (plain.status_code, plain.headers["location"]) == (308, f"https://127.0.0.1:{encrypted.own_port}/a?b=1")
    foreign = {"host": "evil.example"}
    assert httpx.get(f"http://127.0.0.1:{encrypted.own_port}/", headers=foreign, timeout=20).status_code == 403
    with socket.create_connection(("127.0.0.1", encrypted.own_port), 20) as silent:
        silent.shutdown(socket.SHUT_WR)
        assert silent.recv(1) == b"", "who says nothing is let go"


def test_this_machine_may_stay_on_the_plain_port(encrypted: Encrypted) -> None:
    assert httpx.get(f"http://127.0.0.1:{encrypted.plain_port}/healthz", timeout=20).status_code == 200


def test_other_machines_are_sent_to_the_same_host_path_and_query(encrypted: Encrypted) -> None:
    address = own_address()
    if address is None:
        pytest.skip("this machine has no address but loopback")
    url = f"http://{address}:{encrypted.plain_port}/endpoints/price/invocations?debug=true"
    answer = httpx.post(url, content=b"{}", headers={"host": f"yard.example:{encrypted.plain_port}"}, timeout=20)
    assert answer.status_code == 308
    assert answer.headers["location"] == f"https://yard.example:{encrypted.port}/endpoints/price/invocations?debug=true"
    wild = httpx.get(f"http://{address}:{encrypted.plain_port}/", headers={"host": "evil.example"}, timeout=20)
    assert wild.status_code == 403


def test_a_certificate_is_made_anew_for_another_name_and_before_it_ends(tmp_path: Path) -> None:
    folder, now = tmp_path / "tls", datetime.now(UTC)
    first = local_certificate(folder, NAMES).chain.read_bytes()
    authority = authority_path(folder).read_bytes()
    assert local_certificate(folder, NAMES[:2]).chain.read_bytes() == first
    assert local_certificate(folder, (*NAMES, "10.0.0.7")).chain.read_bytes() != first
    second = local_certificate(folder, NAMES, now).chain.read_bytes()
    late = now + timedelta(days=CERTIFICATE_DAYS - RENEW_DAYS + 1)
    assert local_certificate(folder, NAMES, late).chain.read_bytes() != second
    assert authority_path(folder).read_bytes() == authority
    assert [oct(path.stat().st_mode & 0o777) for path in sorted(folder.iterdir())] == ["0o600"] * 4


def shown_by(tls: Tls, authority: Path) -> bytes:
    """The certificate that a client is shown; both sides talk through memory."""
    asked, answered = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context(cafile=str(authority))
    asking = client.wrap_bio(answered, asked, server_hostname="localhost")
    answering = tls.context.wrap_bio(asked, answered, server_side=True)
    for _ in range(4):
        for side in (asking, answering):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    return asking.getpeercert(binary_form=True) or b""


def test_a_renewed_certificate_is_taken_and_a_broken_one_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    found = local_certificate(folder, NAMES)
    tls = Tls(TlsPlace(found.chain, found.key, 443))

    first = shown_by(tls, authority_path(folder))
    local_certificate(folder, (*NAMES, "10.0.0.7"))
    os.utime(found.chain, (time.time() + 5, time.time() + 5))
    tls.look()
    second = shown_by(tls, authority_path(folder))
    assert second != first
    found.chain.write_text("broken")
    os.utime(found.chain, (time.time() + 9, time.time() + 9))
    tls.look()
    assert shown_by(tls, authority_path(folder)) == second
