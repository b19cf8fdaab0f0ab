"""From inside the sandbox: what a submission may do, and what it may not, however it tries."""

from __future__ import annotations

import ast
import asyncio
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from coursework import sandbox
from coursework.sandbox import KernelManager, NoSandboxError

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("sandboxed")


async def _run(code: str) -> str:
    """Run code in a kernel of its own, shut in; return what it says."""
    manager, said = KernelManager(kernel_name="python3"), []

    def take(message: dict) -> None:
        content = message["content"]
        said.append(content.get("text") or f"{content.get('ename', '')}: {content.get('evalue', '')}")

    await manager.start_kernel(extra_arguments=["--IPKernelApp.log_level=50"])
    client = manager.client()
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=60)
        await client.execute_interactive(code, timeout=60, output_hook=take)
    finally:
        client.stop_channels()
        await manager.shutdown_kernel(now=True)
    return "".join(text for text in said if text != ": ")


def inside(code: str) -> str:
    # In a thread of its own: a browser's event loop may be running in this one.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(_run(code))).result()


@pytest.fixture(scope="module")
def secrets(tmp_path_factory) -> dict[str, Path]:
    """What must not be read: a gradebook, another's work, and a source with its hidden tests."""
    folder = tmp_path_factory.mktemp("course")
    found = {"gradebook": folder / "gradebook.db", "other": folder / "submitted" / "bob.ipynb"}
    for path in found.values():
        path.parent.mkdir(exist_ok=True)
        path.write_text("secret")
        path.chmod(0o666)
    source = next((ROOT / "coursework" / "source").glob("*/*.ipynb"))
    return found | {"source": source, "trials": next((ROOT / "coursework" / "trials").glob("*.toml"))}


@pytest.fixture(scope="module")
def attempts(secrets) -> dict[str, str]:
    """What comes of each attempt, all made in one kernel; an attempt that succeeds says so."""
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_answer, args=(listener,), daemon=True).start()
    port = listener.getsockname()[1]
    home = str(Path.home())
    package, table = str(ROOT / "hbutils" / "intruder.py"), str(ROOT / "data" / "sleepstudy.csv")
    mount = "['mount', '-t', 'tmpfs', 'x', '/mnt']"
    tries = {
        # what is meant to work: were it not for these, nothing below would mean anything
        "own folder": "open('mine.txt', 'w').write('x'); done = open('mine.txt').read() == 'x'",
        "own process": "import os; os.kill(os.getpid(), 0); done = True",
        "hbutils": "import hbutils as hb; done = len(hb.load_sleepstudy().y) == 180",
        # what is not
        **{
            f"read {name}": f"done = bool(open({str(path)!r}, 'rb').read(1))"
            for name, path in secrets.items()
        },
        "list home": f"done = bool(set(os.listdir({home!r})) - {{'.pyenv', '.local', '.cache'}})",
        "read its environment": "done = 'HB_TEST_SECRET' in os.environ",
        "see other processes": "done = len([p for p in os.listdir('/proc') if p.isdigit()]) > 4",
        "write hbutils": f"open({package!r}, 'w').write('x'); done = True",
        "write data": f"open({table!r}, 'a').write('x'); done = True",
        "write site-packages": "import numpy; open(numpy.__file__, 'a').write(' '); done = True",
        "write outside": "open('/etc/passwd', 'a').write('x'); done = True",
        "write in the root": "os.mkdir('/mine'); done = True",
        "a file without end": "[open('big', 'ab').write(bytes(2**20)) for _ in range(400)]; done = True",
        "reach this machine": f"socket.create_connection(('127.0.0.1', {port}), 2); done = True",
        "reach the network": "socket.create_connection(('192.0.2.1', 80), 2); done = True",
        "look up a name": "socket.getaddrinfo('pypi.org', 443); done = True",
        "become the superuser": "os.setuid(0); done = os.getuid() == 0",
        "mount": f"done = subprocess.run({mount}).returncode == 0",
        "memory without end": "hoard = [bytearray(2**30) for _ in range(12)]; done = True",
        "fork without end": FORKS,
    }
    code = (
        "import os, socket, subprocess\nresults = {}\n"
        f"for name, attempt in {tries!r}.items():\n"
        "    place = {'os': os, 'socket': socket, 'subprocess': subprocess}\n"
        "    try:\n"
        "        exec(attempt, place)\n"
        "        results[name] = 'done' if place['done'] else 'failed'\n"
        "    except BaseException as error:\n"
        "        results[name] = f'{type(error).__name__}: {error}'\n"
        "    place.clear()\n"
        "print('RESULTS', results)"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HB_TEST_SECRET", "x")
        said = inside(code)
    listener.close()
    assert "RESULTS" in said, said
    return ast.literal_eval(said.split("RESULTS", 1)[1].strip())


FORKS = """
children = []
try:
    for _ in range(2000):
        child = os.fork()
        if child == 0:
            import time
            time.sleep(30)
            os._exit(0)
        children.append(child)
except OSError:
    pass
finally:
    for child in children:
        os.kill(child, 9)
        os.waitpid(child, 0)
done = len(children) >= 1000
"""


def _answer(listener: socket.socket) -> None:
    try:
        while True:
            listener.accept()[0].close()
    except OSError:
        return


@pytest.mark.parametrize("allowed", ["own folder", "own process", "hbutils"])
def test_what_work_needs_is_there(attempts, allowed):
    assert attempts[allowed] == "done"


@pytest.mark.parametrize(
    "forbidden",
    [
        "read gradebook",
        "read other",
        "read source",
        "read trials",
        "list home",
        "read its environment",
        "see other processes",
        "write hbutils",
        "write data",
        "write site-packages",
        "write outside",
        "write in the root",
        "a file without end",
        "reach this machine",
        "reach the network",
        "look up a name",
        "become the superuser",
        "mount",
        "memory without end",
        "fork without end",
    ],
)
def test_what_is_forbidden_fails(attempts, forbidden):
    assert attempts[forbidden] != "done"


def test_the_secrets_can_be_read_outside(secrets):
    for path in secrets.values():
        assert path.read_bytes()


def test_nothing_was_written_outside():
    assert not (ROOT / "hbutils" / "intruder.py").exists()


def test_the_kernel_leaves_no_folder_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert "4" in inside("print(2 + 2)")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def without_bubblewrap(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    sandbox.problem.cache_clear()
    yield
    sandbox.problem.cache_clear()


@pytest.mark.usefixtures("without_bubblewrap")
def test_without_bubblewrap_nothing_runs_unless_somebody_says_so(monkeypatch):
    monkeypatch.delenv("HB_UNSAFE", raising=False)
    with pytest.raises(NoSandboxError, match=r"was not found.*HB_UNSAFE=1"):
        sandbox.require()
    monkeypatch.setenv("HB_UNSAFE", "1")
    assert sandbox.require() is False
