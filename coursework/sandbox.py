"""A kernel that runs what students hand in, and can do nothing else.

On Linux, bubblewrap gives the kernel a file system of its own: the interpreter, its packages and hbutils,
read only, and an empty folder to work in. There is no network, no home folder, no other submission, no
gradebook, no source with hidden tests, and no process but its own. It is talked to through sockets in a
folder, not a port. Limits on memory, files and processes are set inside.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
from jupyter_client.manager import AsyncKernelManager

ROOT = Path(__file__).resolve().parents[1]
GIB = 2**30
MEMORY = 8 * GIB  # address space, of which compiled code and threads take much and use little
LARGEST_FILE = GIB // 4
PROCESSES = 256  # threads count too
NOBODY = 65534
MISSING = (
    "no sandbox: students' work runs only under bubblewrap (Linux; on Debian `apt-get install bubblewrap`), "
    "which {why}. Marking without it would run their code with all your rights: to accept that, set "
    "HB_UNSAFE=1"
)


class NoSandboxError(Exception):
    """Students' code cannot be shut in here; the message says why and what to do."""


@cache
def problem() -> str | None:
    """Return why there is no sandbox on this machine, or None if there is one."""
    if not shutil.which("bwrap"):
        return "was not found"
    with tempfile.TemporaryDirectory() as folder:
        trial = subprocess.run(
            [*command(Path(folder)), "/usr/bin/env", "true"], capture_output=True, text=True, check=False
        )
    return None if trial.returncode == 0 else f"does not work here ({trial.stderr.strip()[:200]})"


def require() -> bool:
    """Return whether to shut submissions in; raise if that is impossible and nobody agreed to go without."""
    if os.environ.get("HB_UNSAFE") == "1":
        return False
    if why := problem():
        raise NoSandboxError(MISSING.format(why=why))
    return True


def _packages() -> list[Path]:
    """Folders that the interpreter needs, outside /usr."""
    roots = {Path(p).resolve() for p in (sys.prefix, sys.base_prefix, sys.exec_prefix)}
    roots |= {Path(sys.prefix).absolute(), Path(sys.base_prefix).absolute()}
    return sorted(path for path in roots if path.exists() and not path.is_relative_to("/usr"))


def command(folder: Path) -> list[str]:
    """Return what to put before a command, so that it runs shut in, with `folder` as its only own place."""
    words = [
        "bwrap",
        "--unshare-ipc",
        "--unshare-net",
        "--unshare-pid",
        "--unshare-uts",
        "--unshare-cgroup-try",
    ]
    words += ["--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL"]
    if os.geteuid() == 0:
        # The superuser is bound by no limit on processes: somebody without rights takes over inside.
        words += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_SETPCAP"]
    else:
        words += ["--unshare-user"]
    for path in ("/usr", "/lib", "/lib64", "/bin", "/sbin"):
        place = Path(path)
        if place.is_symlink():
            words += ["--symlink", str(place.readlink()), path]
        elif place.exists():
            words += ["--ro-bind", path, path]
    for name in ("alternatives", "ld.so.cache", "localtime", "fonts"):
        words += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    words += ["--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "--tmpfs", "/dev/shm"]  # noqa: S108
    needed = [*_packages(), ROOT / "hbutils", ROOT / "data"]
    above = {parent for place in (*needed, folder) for parent in place.parents} - {Path("/"), Path("/tmp")}  # noqa: S108
    for parent in sorted(above):  # left to itself, bubblewrap makes them for the superuser only
        words += ["--perms", "0755", "--dir", str(parent)]
    for place in needed:
        words += ["--ro-bind", str(place), str(place)]
    words += ["--bind", str(folder), str(folder), "--chdir", str(folder)]
    for name, value in _environment(folder).items():
        words += ["--setenv", name, value]
    words += ["--remount-ro", "/"]
    words += ["--"]
    if os.geteuid() == 0:
        words += ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        words += ["--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all", "--no-new-privs"]
    return [
        *words,
        "prlimit",
        f"--as={MEMORY}",
        f"--fsize={LARGEST_FILE}",
        f"--nproc={PROCESSES}",
        "--core=0",
    ]


def _environment(folder: Path) -> dict[str, str]:
    here = {
        name: str(folder) for name in ("HOME", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR", "TMPDIR")
    }
    threads = dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
    )
    return {
        **here,
        **threads,
        "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "NUMBA_CACHE_DIR": str(folder / "numba"),
        "PYTENSOR_FLAGS": f"base_compiledir={folder / 'pytensor'}",
        **{name: os.environ[name] for name in os.environ if name.startswith("OPENBLAS_CORE")},
    }


class KernelManager(AsyncKernelManager):
    """Starts kernels in a sandbox, or, where the instructor has agreed to that, without one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **kwargs)
        self._folder: Path | None = None

    async def _async_pre_start_kernel(self, **kwargs: Any) -> Any:  # noqa: ANN401
        kwargs |= {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}  # not ours to show
        if require():
            self._folder = Path(tempfile.mkdtemp(prefix="hb-"))
            for known in Path(mpl.get_cachedir()).glob("fontlist-*.json"):
                shutil.copy(known, self._folder)  # or every kernel would look for fonts for a second
            self.transport, self.ip = "ipc", str(self._folder / "s")
            self.connection_file = str(self._folder / "kernel.json")
            self.kernel_spec.interrupt_mode = "message"  # a signal would end bubblewrap
        return await super()._async_pre_start_kernel(**kwargs)

    pre_start_kernel = _async_pre_start_kernel

    def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
        """Return the words that start the kernel, with those of the sandbox before them."""
        words = super().format_kernel_cmd(extra_arguments)
        if self._folder is None:
            return words
        if os.geteuid() == 0:  # the folder becomes that of whoever takes over inside
            self._folder.chmod(0o711)  # bubblewrap, by then without rights, must enter it
            os.chown(self._folder, NOBODY, NOBODY)
            for item in self._folder.iterdir():
                os.chown(item, NOBODY, NOBODY)
        return [*command(self._folder), *words]

    async def _async_cleanup_resources(self, restart: bool = False) -> None:  # noqa: FBT001, FBT002
        await super()._async_cleanup_resources(restart)
        if self._folder is not None and not restart:
            shutil.rmtree(self._folder, ignore_errors=True)

    cleanup_resources = _async_cleanup_resources
