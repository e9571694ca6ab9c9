"""What `toroni doctor` looks at without trying: versions, /dev/shm, limits, systemd, namespaces."""

from __future__ import annotations

import os
import platform
import pwd
import resource
import sys
from collections.abc import Callable
from pathlib import Path

from toroni.cli.findings import Finding, ok, problem, warning
from toroni.cli.readable import readable_bytes

_DIRECTORY = Path("/dev/shm")
_OLDEST_PYTHON = (3, 10)
_OLDEST_KERNEL = (3, 11)  # O_TMPFILE
_DEFAULT_BUS_BYTES = (4 << 20) + (64 << 10)  # with what is around its ring
_FEW_BYTES = 64 << 20
_FEW_INODES = 16
_FEW_DESCRIPTORS = 64
_FEW_THREADS = 32
_INITIAL_PID_NAMESPACE = 4026531836  # PROC_PID_INIT_INO of the kernel
_LAST_SYSTEM_USER = 999


def python() -> Finding:
    """What runs us."""
    text = f"{platform.python_implementation()} {platform.python_version()}"
    if sys.version_info < _OLDEST_PYTHON:
        return problem(f"{text} is too old", "use Python 3.10 or later")
    return ok(text)


def libc() -> Finding:
    """The core is built for glibc, whose mutexes the format has."""
    try:
        return ok(str(os.confstr("CS_GNU_LIBC_VERSION")))
    except (ValueError, OSError):
        return problem("the C library is not glibc", "use a distribution with glibc; Alpine has musl")


def kernel() -> Finding:
    """Its version."""
    text = f"{platform.system()} {platform.release()} on {platform.machine()}"
    numbers = platform.release().split(".")
    if len(numbers) > 1 and all(one.isdigit() for one in numbers[:2]) and tuple(map(int, numbers[:2])) < _OLDEST_KERNEL:
        return problem(f"{text} is too old", "use Linux 3.11 or later")
    return ok(text)


def shared_memory() -> Finding:
    """Whether /dev/shm is there, what it is, and our rights in it."""
    if not _DIRECTORY.is_dir():
        return problem(
            f"there is no {_DIRECTORY}", f"mkdir {_DIRECTORY}; mount -t tmpfs -o mode=1777 tmpfs {_DIRECTORY}"
        )
    if os.statvfs(_DIRECTORY).f_flag & os.ST_RDONLY:
        return problem(f"{_DIRECTORY} is read-only", f"mount -o remount,rw {_DIRECTORY}")
    if not os.access(_DIRECTORY, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
        return problem(f"user {_user()} may not make files in {_DIRECTORY}", f"chmod 1777 {_DIRECTORY}")
    kind = _file_system(_DIRECTORY)
    if kind not in {"tmpfs", "devtmpfs"}:
        remedy = f"mount a tmpfs there: mount -t tmpfs -o mode=1777 tmpfs {_DIRECTORY}"
        return warning(f"{_DIRECTORY} is on {kind}, not on tmpfs: messages would be written to a disk", remedy)
    mode = _DIRECTORY.stat().st_mode
    if mode & 0o002 and not mode & 0o1000:
        return warning(f"any user may remove others' files in {_DIRECTORY}", f"chmod +t {_DIRECTORY}")
    return ok(f"{_DIRECTORY} is a {kind}, and writable")


def _file_system(directory: Path) -> str:
    """Its type; of several that are mounted at one place the last is seen."""
    path = str(directory.resolve())
    found = ("", "an unknown file system")
    for line in Path("/proc/self/mountinfo").read_text(errors="replace").splitlines():
        before, _, behind = line.partition(" - ")
        mounted_at = before.split()[4]
        is_above = path == mounted_at or path.startswith(mounted_at.rstrip("/") + "/")
        if is_above and len(mounted_at) >= len(found[0]):
            found = (mounted_at, behind.split()[0])
    return found[1]


def free_memory() -> Finding:
    """Room in /dev/shm, for bytes and for files."""
    status = os.statvfs(_DIRECTORY)
    remedy = f"remove unused buses (`toroni gc`), or mount -o remount,size=... {_DIRECTORY}; docker: --shm-size=1g"
    if not status.f_blocks:  # size=0
        return ok(f"{_DIRECTORY} has no limit")
    size, free = status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize
    text = f"{readable_bytes(free)} of {readable_bytes(size)} in {_DIRECTORY} are free"
    if free < _DEFAULT_BUS_BYTES:
        return problem(f"{text}, less than a bus of the usual size needs", remedy)
    if status.f_files and status.f_favail < _FEW_INODES:
        text = f"{_DIRECTORY} may hold {status.f_favail} more files; a bus is two"
        return (problem if status.f_favail < 2 else warning)(
            text, f"remove unused buses (`toroni gc`), or mount -o remount,nr_inodes=... {_DIRECTORY}"
        )
    if free < _FEW_BYTES:
        return warning(f"only {text}; a bus of the usual size takes 4 MiB", remedy)
    return ok(text)


def limits() -> Finding:
    """Of this process, where they are so low that it would meet them."""
    for found in (_descriptors(), _file_size(), _address_space(), _threads()):
        if found is not None:
            return found
    return ok("descriptors, size of files, address space and threads are enough")


def _descriptors() -> Finding | None:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    left = limit - len(os.listdir("/proc/self/fd"))
    if limit == resource.RLIM_INFINITY or left >= _FEW_DESCRIPTORS:
        return None
    return warning(f"a process may have only {limit} descriptors open", "ulimit -n 1024; systemd: LimitNOFILE=")


def _file_size() -> Finding | None:
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if limit == resource.RLIM_INFINITY or limit >= _DEFAULT_BUS_BYTES:
        return None
    text = f"a process may make files of {readable_bytes(limit)} only, which is too small for a bus of the usual size"
    return problem(text, "ulimit -f unlimited; systemd: LimitFSIZE=; or make buses of a smaller capacity")


def _address_space() -> Finding | None:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return None
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    if limit - used >= _FEW_BYTES:
        return None
    text = f"a process may map {readable_bytes(limit)} of memory, of which this one has used {readable_bytes(used)}"
    return warning(text, "ulimit -v unlimited; systemd: LimitAS=; or make buses of a smaller capacity")


def _threads() -> Finding | None:
    """Every process that reads has a thread that holds its slots."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if os.geteuid() and limit != resource.RLIM_INFINITY:  # root has no such limit
        used = _threads_of(os.geteuid())
        if limit - used < _FEW_THREADS:
            text = f"user {_user()} may run {limit} threads, and runs {used}"
            return warning(text, "ulimit -u; systemd: LimitNPROC=")
    group = _control_group()
    if group is not None:
        most, used_text = ((group / file).read_text().strip() for file in ("pids.max", "pids.current"))
        if most != "max" and int(most) - int(used_text) < _FEW_THREADS:
            text = f"the control group may have {most} threads, and has {used_text}"
            return warning(text, "docker: --pids-limit=; systemd: TasksMax=")
    return None


def _threads_of(user: int) -> int:
    count = 0
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and entry.stat().st_uid == user:
                count += len(os.listdir(entry / "task"))
        except OSError:  # it has ended, or is not shown
            continue
    return count


def _control_group() -> Path | None:
    """Ours that counts threads, of version 2; there is none at the top."""
    for line in Path("/proc/self/cgroup").read_text(errors="replace").splitlines():
        if line.startswith("0::"):
            group = Path("/sys/fs/cgroup") / line.removeprefix("0::").lstrip("/")
            return group if (group / "pids.max").exists() else None
    return None


def remove_ipc(root: Path = Path("/"), user: int | None = None) -> Finding:
    """Whether systemd-logind removes the files of a user who logs out, buses included."""
    user = os.geteuid() if user is None else user
    if not (root / "run/systemd/seats").exists():
        return ok("systemd-logind, which could remove a user's buses at logout, does not run here")
    if not _removes_ipc(root):
        return ok("systemd-logind leaves a user's buses alone at logout (RemoveIPC=no)")
    if user <= _LAST_SYSTEM_USER:
        return ok("systemd-logind removes a user's buses at the last logout (RemoveIPC=yes), but no system user's")
    if (root / "var/lib/systemd/linger" / _user(user)).exists():
        return ok(f"systemd-logind removes a user's buses at the last logout, but user {_user(user)} lingers")
    remedy = (
        f"RemoveIPC=no in /etc/systemd/logind.conf, then systemctl restart systemd-logind; "
        f"or loginctl enable-linger {_user(user)}; or run as a system user"
    )
    return warning(f"systemd-logind removes the buses of user {_user(user)} at the last logout (RemoveIPC)", remedy)


def _removes_ipc(root: Path) -> bool:
    """As logind.conf(5) has it: one main file, then parts of it by their names, where the first directory wins."""
    directories = [root / one / "systemd" for one in ("etc", "run", "usr/local/lib", "usr/lib")]
    main = next((file for one in directories if (file := one / "logind.conf").exists()), None)
    parts: dict[str, Path] = {}
    for directory in reversed(directories):
        parts |= {file.name: file for file in (directory / "logind.conf.d").glob("*.conf")}
    value = "yes"
    for file in ([main] if main else []) + [parts[name] for name in sorted(parts)]:
        for line in file.read_text(errors="replace").splitlines():
            key, separator, given = line.strip().partition("=")
            if separator and key.strip() == "RemoveIPC":
                value = given.strip() or "yes"
    return value.lower() in {"yes", "y", "true", "t", "on", "1"}


def namespaces() -> Finding:
    """Which other processes can share a bus with this one: for information."""
    own = os.stat("/proc/self/ns/pid").st_ino
    if own == _INITIAL_PID_NAMESPACE:
        return ok("process ids are the machine's own: buses are shared with all its processes outside containers")
    return ok(
        f"process ids are of a namespace, pid:[{own}], as in a container: a bus can only be shared with processes "
        "that have the same one (docker run --pid=container:NAME --ipc=container:NAME)"
    )


def _user(number: int | None = None) -> str:
    number = os.geteuid() if number is None else number
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


CHECKS: dict[str, Callable[[], Finding]] = {
    "python": python,
    "libc": libc,
    "kernel": kernel,
    "shared-memory": shared_memory,
    "free-memory": free_memory,
    "limits": limits,
    "remove-ipc": remove_ipc,
    "namespaces": namespaces,
}
