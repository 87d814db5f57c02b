"""nginx, from Debian's package, over the same folder: what a site is compared with."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
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
    server {{
        listen 127.0.0.1:{port};
        root {root};
        add_header X-Content-Type-Options nosniff;
        add_header Cache-Control no-cache;
    }}
}}
"""


@contextmanager
def nginx(root: Path, folder: Path, workers: int) -> Generator[Side]:
    """Serving `root` with so many worker processes. Raises CannotStart."""
    program = shutil.which("nginx") or ("/usr/sbin/nginx" if os.access("/usr/sbin/nginx", os.X_OK) else None)
    if program is None:
        raise CannotStart("nginx is not installed: apt-get install nginx-light")
    folder.mkdir()
    port = free_port()
    configuration = folder / "nginx.conf"
    configuration.write_text(
        _CONFIGURATION.format(
            folder=folder, root=root, port=port, workers=workers, user="user root;\n" if os.getuid() == 0 else ""
        )
    )
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
