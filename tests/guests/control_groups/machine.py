"""Boots Debian's kernel with control groups of version 2 alone, over this machine's own files, and runs `inside.py`.

The machine sees the whole file system through virtiofs, read-only, and has nothing else: no disk, no network. Its first
process divides the root group, makes a group that belongs to a user without privileges, as `Delegate=yes` gives one,
and runs the tests there. What they say comes over the serial line, and how they ended in the last line.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
INSIDE = "tests/guests/control_groups/inside.py"

MODULES = ("virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "fuse", "virtiofs")
"""Of Debian's kernel for clouds, each after those that it needs."""

MEMORY = "3G"
BOOT_SECONDS = 20.0
"""A machine that has not said a word of its own by then cannot use the processor here, and is emulated."""

TESTS_SECONDS = 1200.0

STARTED = "machine: started"
ENDED = re.compile(r"machine: ended with (\d+)")

_PACKAGES = ("qemu-system-x86", "busybox-static")
_VIRTIOFSD = (Path("/usr/lib/qemu/virtiofsd"), Path("/usr/libexec/virtiofsd"))

_INIT = """#!/bin/busybox sh
b=/bin/busybox
$b mkdir -p /proc /sys /dev
$b mount -t proc proc /proc
$b mount -t devtmpfs dev /dev
for one in {modules}; do $b insmod /modules/$one.ko; done
$b mount -t virtiofs -o ro root /all
$b umount /proc
$b mount -t proc proc /all/proc
$b mount -t sysfs sys /all/sys
$b mount --move /dev /all/dev
$b mount -t tmpfs run /all/run
exec $b switch_root /all /bin/sh -c '{second}'
"""

_SECOND = """
mkdir -p /dev/shm /dev/pts /run/t
mount -t tmpfs shm /dev/shm
mount -t devpts pts /dev/pts
mount -t cgroup2 groups /sys/fs/cgroup
ip link set lo up
chmod 1777 /run/t /dev/shm
cd /sys/fs/cgroup
echo "+memory +cpu" > cgroup.subtree_control
mkdir user.slice
echo "+memory +cpu" > user.slice/cgroup.subtree_control
cd user.slice
mkdir yard.scope
chown 1000 yard.scope yard.scope/cgroup.procs yard.scope/cgroup.subtree_control yard.scope/cgroup.threads
echo 2G > yard.scope/memory.max
echo $$ > yard.scope/cgroup.procs
cd {root}
export TMPDIR=/run/t HOME=/run/t PYTHONDONTWRITEBYTECODE=1
echo "{started}"
setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps +dac_read_search --ambient-caps +dac_read_search \
  .venv/bin/python -m pytest -q --color=no -p no:cacheprovider {words}
echo "machine: ended with $?"
echo o > /proc/sysrq-trigger
sleep 60
"""


class UnavailableError(Exception):
    """There can be no machine here, and why."""


def main(words: list[str]) -> int:
    """The exit code of the tests; 0 where there can be no machine."""
    folder = Path(tempfile.mkdtemp(prefix="machine-"))
    try:
        install()
        kernel, modules = unpacked_kernel(folder)
        (folder / "initrd").write_bytes(b"".join(initrd(modules, [INSIDE, *words])))
        for accelerator in ("kvm", "tcg"):
            code = boot(folder, kernel, accelerator)
            if code is not None:
                return code
    except UnavailableError as error:
        print(f"skipped: {error}")
        return 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("the machine did not start, or never said how its tests ended")
    return 1


def install() -> None:
    if shutil.which("qemu-system-x86_64") and shutil.which("busybox"):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise UnavailableError(f"these packages are not here: {', '.join(_PACKAGES)}")
    words = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *_PACKAGES]
    done = subprocess.run(
        words, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, capture_output=True, check=False
    )
    if done.returncode:
        raise UnavailableError(f"qemu cannot be installed: {done.stderr.decode(errors='replace').strip()[-300:]}")


def unpacked_kernel(folder: Path) -> tuple[Path, Path]:
    """The kernel, and the folder of its modules; unpacked, not installed."""
    try:
        told = subprocess.run(
            ["apt-cache", "depends", "linux-image-cloud-amd64"], capture_output=True, text=True, check=True
        )
        (name,) = re.findall(r"Depends: (linux-image-\S+)", told.stdout)[:1]
        subprocess.run(["apt-get", "download", name], cwd=folder, capture_output=True, check=True)
        (package,) = folder.glob("linux-image-*.deb")
        subprocess.run(["dpkg", "-x", str(package), str(folder / "kernel")], check=True)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        raise UnavailableError(f"Debian's kernel for clouds cannot be had: {error}") from error
    return next((folder / "kernel/boot").glob("vmlinuz-*")), next((folder / "kernel/lib/modules").iterdir()) / "kernel"


def initrd(modules: Path, words: list[str]) -> Iterator[bytes]:
    """A cpio archive (cpio(5), newc): busybox, the modules, and the first process."""
    second = _SECOND.format(root=ROOT, started=STARTED, words=" ".join(words))
    busybox = shutil.which("busybox")
    assert busybox is not None
    yield from _entry("bin", 0o40755)
    yield from _entry("bin/busybox", 0o100755, Path(busybox).read_bytes())
    yield from _entry("init", 0o100755, _INIT.format(modules=" ".join(MODULES), second=second).encode())
    yield from _entry("all", 0o40755)
    yield from _entry("modules", 0o40755)
    for name in MODULES:
        (found,) = modules.rglob(f"{name}.ko")
        yield from _entry(f"modules/{name}.ko", 0o100644, found.read_bytes())
    yield from _entry("TRAILER!!!", 0)


def _entry(name: str, mode: int, content: bytes = b"") -> Iterator[bytes]:
    named = name.encode() + b"\0"
    numbers = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(named), 0)
    head = b"070701" + b"".join(b"%08X" % number for number in numbers) + named
    yield head + bytes(-len(head) % 4)
    yield content + bytes(-len(content) % 4)


def boot(folder: Path, kernel: Path, accelerator: str) -> int | None:
    """What the tests ended with; None where the machine did not start, or was gone before."""
    daemon = next((one for one in _VIRTIOFSD if one.exists()), None)
    if daemon is None:
        raise UnavailableError("virtiofsd is not here")
    door = folder / f"{accelerator}.sock"
    words = [str(daemon), f"--socket-path={door}", "-o", "source=/", "-o", "sandbox=chroot", "-o", "cache=always", "-f"]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as files:
        try:
            limit = time.monotonic() + 10
            while not door.exists() and time.monotonic() < limit:
                time.sleep(0.05)
            return _watch(_machine(folder, kernel, accelerator, door))
        finally:
            files.kill()


def _machine(folder: Path, kernel: Path, accelerator: str, door: Path) -> "subprocess.Popen[bytes]":
    processor = "host" if accelerator == "kvm" else "Nehalem"
    words = ["qemu-system-x86_64", "-accel", accelerator, "-cpu", processor, "-smp", "2", "-m", MEMORY]
    words += ["-object", f"memory-backend-memfd,id=memory,size={MEMORY},share=on", "-numa", "node,memdev=memory"]
    words += ["-chardev", f"socket,id=files,path={door}", "-device", "vhost-user-fs-pci,chardev=files,tag=root"]
    words += ["-kernel", str(kernel), "-initrd", str(folder / "initrd")]
    words += ["-append", "console=ttyS0 quiet loglevel=3 cgroup_no_v1=all panic=-1"]
    words += ["-nographic", "-no-reboot", "-nodefaults", "-serial", "stdio"]
    return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def _watch(machine: "subprocess.Popen[bytes]") -> int | None:
    assert machine.stdout is not None
    os.set_blocking(machine.stdout.fileno(), False)
    limit, said, code, gone = time.monotonic() + BOOT_SECONDS, "", None, False
    try:
        while code is None and time.monotonic() < limit and not gone:
            # Looked at before it is read: a machine that goes says its last line as it does.
            gone = machine.poll() is not None
            piece = (machine.stdout.read() or b"").decode(errors="replace")
            if STARTED in said + piece and STARTED not in said:
                limit = time.monotonic() + TESTS_SECONDS
            said += piece
            print(piece, end="", flush=True)
            found = ENDED.search(said)
            code = int(found[1]) if found else None
            time.sleep(0.1)
    finally:
        machine.kill()
        machine.wait()
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
