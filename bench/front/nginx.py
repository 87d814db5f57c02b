"""nginx, from Debian's package: over the same folder what a site is compared with, before the same app what the gateway
is compared with."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import psutil

from bench.front.load import Side
from bench.serving.servers import CannotStart, free_port

START_SECONDS_MAX = 10.0
STOP_SECONDS_MAX = 10.0
_POLL_SECONDS = 0.02

# As Debian's nginx.conf, but for the access log, which is off on both sides, and for gzip of more than HTML, with the
# compressed form made beforehand as ours is.
_CONFIGURATION = """
{user}worker_processes {workers};
pid {folder}/nginx.pid;
error_log {folder}/error.log;
daemon off;
events {{ worker_connections 4096; }}
http {{
    sendfile on;
    tcp_nopush on;
    types_hash_max_size 2048;
    keepalive_requests 1000000000;
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    charset utf-8;
    access_log off;
    open_file_cache max=1000 inactive=60s;
    gzip_static on;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{server}
}}
"""

_SITE = """
    server {{
        listen 127.0.0.1:{port};
        root {root};
        add_header X-Content-Type-Options nosniff;
        add_header Cache-Control no-cache;
    }}
"""

_BEFORE_APP = """
    upstream app {{
        server {address};
        keepalive 64;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
        }}
    }}
"""


def nginx_site(root: Path, folder: Path, workers: int) -> AbstractContextManager[Side]:
    """Serving `root` with so many worker processes. Raises CannotStart."""
    port = free_port()
    return _nginx(_SITE.format(root=root, port=port), port, folder, workers)


@contextmanager
def nginx_before(app: Side, folder: Path, workers: int) -> Generator[Side]:
    """Standing before an app that is at the root of its address. Raises CannotStart."""
    port = free_port()
    server = _BEFORE_APP.format(address=app.url.removeprefix("http://").partition("/")[0], port=port)
    with _nginx(server, port, folder, workers) as found:
        yield replace(found, url=f"{found.url}/", processes={**found.processes, **app.processes})


@contextmanager
def _nginx(server: str, port: int, folder: Path, workers: int) -> Generator[Side]:
    program = shutil.which("nginx") or ("/usr/sbin/nginx" if os.access("/usr/sbin/nginx", os.X_OK) else None)
    if program is None:
        raise CannotStart("nginx is not installed: apt-get install nginx-light")
    folder.mkdir()
    configuration = folder / "nginx.conf"
    user = "user root;\n" if os.getuid() == 0 else ""
    configuration.write_text(_CONFIGURATION.format(folder=folder, workers=workers, user=user, server=server))
    command = [program, "-p", str(folder), "-c", str(configuration)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(process, url)
        pids = [process.pid, *(one.pid for one in psutil.Process(process.pid).children())]
        yield Side("nginx", url, {"nginx": pids})
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait(process: subprocess.Popen[str], url: str) -> None:
    until = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < until and process.poll() is None:
        try:
            httpx.get(url)
        except httpx.TransportError:
            time.sleep(_POLL_SECONDS)
        else:
            return
    said = process.stderr.read() if process.poll() is not None and process.stderr is not None else "no answer"
    raise CannotStart(f"nginx does not answer: {said.strip()[-300:]}")
