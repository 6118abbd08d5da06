"""What stays shut when wall 1 is off: imports that are not allowed, files, sockets, processes.

Each polite refusal has its twin in native code, which the kernel answers.
"""

import asyncio

import pytest
from full_rig import Rig, Worker, open_pools

from cloister.errors import NotReady, SettingInvalid
from cloister.languages import FULL, RESTRICTED
from cloister.settings import MIB
from executor.cell import Death, IsolateDied
from executor.isolate import frames

PACKAGES = ("ctypes", "markupsafe")

pytestmark = pytest.mark.asyncio(loop_scope="module")

NATIVE = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)

def error(result):
    return ctypes.get_errno() if result == -1 else result
"""


async def test_only_what_the_operator_lists_can_be_imported(rig: Rig) -> None:
    """Neither Cloister nor what it is made of; not by name, path, spec or an old reference in
    sys.modules. A listed package can."""
    body = """
    import importlib, importlib.util, sys
    import markupsafe
    found = []
    for name in ("cloister", "executor", "executor.isolate.main", "msgspec", "RestrictedPython",
                 "redis", "sqlalchemy", "celery", "flask", "pip", "setuptools", "_distutils_hack"):
        try:
            found.append(importlib.import_module(name))
        except ModuleNotFoundError:
            pass
        found += [key for key in sys.modules if key.partition(".")[0] == name]
        if importlib.util.find_spec(name.partition(".")[0]):
            found.append(name)
    return [found, markupsafe.__name__, type(sys.modules["__main__"]).__name__,
            hasattr(sys.modules["__main__"], "Zygote")]
    """
    assert await rig.value(body) == [[], "markupsafe", "module", False]


async def test_ctypes_has_to_be_listed() -> None:
    """Of the standard library it alone is withheld."""
    async with open_pools() as pools:
        rig = Rig(pools)
        body = """
        import sqlite3, ssl, mmap
        for name in ("ctypes", "_ctypes", "ctypes.util"):
            try:
                __import__(name)
            except ModuleNotFoundError:
                continue
            return name
        return sqlite3.connect(":memory:").execute("select 6 * 7").fetchone()
        """
        assert await rig.value(body) == [42]
        await rig.end()


async def test_nothing_of_the_host_is_named(rig: Rig) -> None:
    """No module, function or path entry shows a directory of the machine."""
    body = """
    import gc, sys, sysconfig, types
    gc.unfreeze()
    roots = ("/worker", "/python", "/runtime")
    paths = [str(p) for p in sys.path]
    paths += [value for value in sysconfig.get_config_vars().values() if isinstance(value, str)]
    for module in list(sys.modules.values()):
        if isinstance(module, types.ModuleType):
            paths += [getattr(module, "__file__", None) or ""]
            paths += list(map(str, getattr(module, "__path__", ())))
            paths.append(getattr(getattr(module, "__spec__", None), "origin", None) or "")
    paths += [f.__code__.co_filename for f in gc.get_objects() if isinstance(f, types.FunctionType)]
    return [len(paths) > 5000, sorted({p for p in paths if p.startswith("/")
            and not p.startswith(roots)})[:5]]
    """
    assert await rig.value(body) == [True, []]


async def test_what_is_not_there_says_so(rig: Rig) -> None:
    """Files, sockets, processes, signals: an exception that a program can catch, and the isolate
    lives on."""
    body = """
    import asyncio, os, pwd, signal, socket, subprocess, tempfile, urllib.request, uuid
    import http.client, multiprocessing, shutil, time, getpass
    attempts = {
        "read": lambda: open("/etc/passwd"), "write": lambda: open("/worker/x", "w"),
        "stat": lambda: os.stat("/etc"), "mkdir": lambda: os.mkdir("/tmp/x"),
        "remove": lambda: os.remove("/worker/x"), "pipe": os.pipe, "fork": os.fork,
        "system": lambda: os.system("true"), "exec": lambda: os.execv("/bin/sh", ["sh"]),
        "popen": lambda: subprocess.run(["true"]), "kill": lambda: os.kill(1, 9),
        "alarm": lambda: signal.alarm(1), "socket": lambda: socket.socket(),
        "connect": lambda: socket.create_connection(("example.org", 80)),
        "resolve": lambda: socket.gethostbyname("example.org"),
        "urlopen": lambda: urllib.request.urlopen("http://example.org", timeout=1),
        "http": lambda: http.client.HTTPConnection("example.org").request("GET", "/"),
        "temporary": lambda: tempfile.TemporaryFile(), "rmtree": lambda: shutil.rmtree("/worker"),
        "process": lambda: multiprocessing.Process(target=print).start(),
        "lock": lambda: multiprocessing.Lock(), "loop": asyncio.new_event_loop,
        "user": lambda: pwd.getpwuid(0), "times": os.times,
    }
    said = {}
    for name, attempt in attempts.items():
        try:
            said[name] = repr(attempt())
        except (OSError, KeyError) as error:
            continue
    return [said, uuid.uuid1().version, os.path.expanduser("~"), os.getpid() > 1,
            uuid.uuid4().version, time.process_time() > 0]
    """
    worker = await rig.worker(body)
    assert (await worker.get()).value == [{}, 1, "/worker", True, 4, True]
    assert (await worker.get()).head is not None


async def test_every_function_of_os_is_survived(rig: Rig) -> None:
    """Whatever is called, without arguments and with harmless ones, the isolate answers after."""
    body = """
    import fcntl, os, posix, resource, select, signal, socket, time
    called = 0
    for module in (os, posix, fcntl, resource, select, signal, socket, time):
        for name in sorted(set(dir(module)) - {"_exit", "abort", "sleep", "read", "write", "close",
                                               "closerange", "poll", "select", "pselect"}):
            function = getattr(module, name)
            if not callable(function) or isinstance(function, type) or name.startswith("__"):
                continue
            for arguments in ((), (0,), ("/",), (0, 0), ("/", "/"), ("/", 0), (0, 0, 0)):
                called += 1
                try:
                    function(*arguments)
                except BaseException:
                    pass
    return called > 1000
    """
    assert await rig.value(body) is True


NATIVE_DEATHS = {
    "socket": "libc.socket(2, 1, 0)",
    "execve": 'libc.execve(b"/bin/true", None, None)',
    "kill": "libc.kill(1, 9)",
    "ptrace": "libc.ptrace(0, 0, None, None)",
    "executable memory": "libc.mmap(None, 4096, 7, 34, -1, 0)",
    "memfd": 'libc.memfd_create(b"x", 0)',
}


@pytest.mark.parametrize("attempt", NATIVE_DEATHS)
async def test_native_code_meets_the_kernel(rig: Rig, attempt: str) -> None:
    """With ctypes, past what Python refuses: the isolate was alive and is killed on the spot."""
    worker = await rig.worker(
        f"return os.getpid() if request.url.endswith('/alive') else {NATIVE_DEATHS[attempt]}",
        NATIVE,
    )
    assert (await worker.get("/alive")).value > 1
    died = await worker.death()
    assert died.death is Death.REFUSED_CALL


async def test_native_code_opens_nothing(rig: Rig) -> None:
    """What good faith also tries is an error, and memory and time are there: the allowed twins."""
    body = """
    opened = [error(libc.open(path, 0)) for path in (b"/etc/passwd", b"/worker/main.py")]
    buffer = ctypes.create_string_buffer(64)
    return [opened, libc.getpid() == os.getpid(), libc.getrandom(buffer, 8, 0), len(buffer.raw)]
    """
    assert await rig.value(body, NATIVE) == [[13, 13], True, 8, 64]


HOSTILE = {
    "leaves": ("import os; os._exit(0)", Death.EXITED),
    "shuts the door": ("import os; os.close(3)\n    while True: pass", Death.KILLED),
    "speaks nonsense": (
        "import os; os.write(3, b'\\xff' * 64)\n    while True: pass",
        Death.KILLED,
    ),
    "crashes": ("import ctypes; ctypes.string_at(0)", Death.FAULT),
}


@pytest.mark.parametrize("attempt", HOSTILE)
async def test_an_isolate_that_breaks_the_rules_ends(rig: Rig, attempt: str) -> None:
    """However it does; how it ended is told apart, and another isolate is there at once."""
    body, death = HOSTILE[attempt]
    worker = await rig.worker(f"if True:\n    {body}")
    assert (await worker.death()).death is death
    assert await rig.value("return 42") == 42


UNASKED = {
    "computes": "while True: pass",
    "speaks": "import time; time.sleep(0.05); os.write(3, bytes([0, 0, 0, 8]) + bytes(7))\n"
    "    time.sleep(60)",
}


@pytest.mark.parametrize("attempt", UNASKED)
async def test_an_isolate_that_goes_on_unasked_ends(rig: Rig, attempt: str) -> None:
    """Between two requests nobody's limits count: it has to rest. The twin, which does, stays."""
    top = """
    import os, sys
    from workers import Response
    def runtime():
        frame = sys._getframe()
        while "_DONE" not in frame.f_globals:
            frame = frame.f_back
        return frame.f_globals
    """
    say = (
        "r = runtime(); pack, frames = r['pack'], r['frames']\n"
        "os.write(3, pack(frames.Head(status=200, headers=[], body=b'1', end=True)))\n"
        "os.write(3, pack(frames.Done()))\n"
    )
    unasked = await rig.worker(f"{say}if True:\n    {UNASKED[attempt]}", top)
    quiet = await rig.worker("return 1")
    for worker in (quiet, unasked):
        assert (await worker.get()).value == 1
        worker.isolate.key = f"{attempt} {worker is quiet}"
        worker.isolate.is_loaded = True
        rig.pools.release(worker.isolate, reuse=True)
    await asyncio.wait_for(unasked.isolate.closed.wait(), 20)
    assert quiet.isolate.is_quiet


async def test_nothing_of_wall_1_is_in_the_way(rig: Rig) -> None:
    """The library is as CPython has it, frames can be looked at, and no two isolates draw the same
    random numbers."""
    body = """
    import asyncio, copy, enum, functools, random, sys, typing
    functions = (copy.deepcopy, functools.singledispatch, asyncio.isfuture, random.seed,
                 typing.get_type_hints, vars(enum.EnumMeta)["_create_"])
    homes = [f.__module__ for f in functions]
    frame = sys._getframe()
    return [[h for h in homes if h.startswith("executor")], frame.f_code.co_name,
            frame.f_globals is globals(), random.random()]
    """
    first, second = await rig.value(body), await rig.value(body)
    assert first[:3] == second[:3] == [[], "answer", True]
    assert first[3] != second[3]


async def test_memory_is_bounded(rig: Rig) -> None:
    """Beyond the limit allocation fails, as it does in the restricted language."""
    worker = await rig.worker("return len(bytearray(int(request.url.rpartition('/')[2])))")
    assert (await worker.get(f"/{32 * MIB}")).value == 32 * MIB
    failed = (await worker.get(f"/{256 * MIB}")).failed
    assert failed is not None
    assert failed.memory


@pytest.mark.parametrize("language", [RESTRICTED, FULL])
async def test_an_isolate_takes_no_frame_of_the_other_language(pools, language) -> None:
    """Load or Compile of the other language ends it; its own is taken."""
    other = FULL if language == RESTRICTED else RESTRICTED
    pool = await pools.of(language)
    source = b"class Default: pass"
    for frame_language in (language, other):
        isolate = await pool.blank()
        try:
            await isolate.send(
                frames.Compile(main="m.py", sources={"m.py": source}, language=frame_language)
            )
            if frame_language == language:
                assert isinstance(await isolate.receive(), frames.Compiled)
            else:
                with pytest.raises(IsolateDied):
                    await isolate.receive()
        finally:
            pools.release(isolate, reuse=False)


@pytest.mark.parametrize("language", [RESTRICTED, FULL])
async def test_a_pool_lends_nothing_to_the_other_language(pools, language) -> None:
    """Before an isolate is even taken, the code's language has to be the pool's."""
    other = FULL if language == RESTRICTED else RESTRICTED
    pool = await pools.of(language)

    async def load() -> frames.Load:
        return frames.Load(main="m.py", modules={}, language=other)

    with pytest.raises(NotReady, match=f"no code of the {other} language"):
        await pool.borrow("key", load)
    assert (await pools.of(other)).language == other


async def test_a_word_that_is_no_language_is_refused(pools) -> None:
    """By the pools, and by the door's decoder."""
    with pytest.raises(NotReady, match="No language"):
        await pools.of("fuller")
    frame = frames.encode({"type": "load", "main": "m", "modules": {}, "language": "fuller"})
    with pytest.raises(Exception, match="fuller"):
        frames.decode_to_isolate(frame)
    assert frames.decode_to_isolate(frame.replace(b"\xa6fuller", b"\xa4full")).language == FULL


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        *(("no-such-package", "not installed"), ("no_such_module", "not installed")),
        *(("cloister", "never import"), ("executor", "never import")),
    ],
)
async def test_an_executor_with_an_unknown_package_does_not_start(name: str, reason: str) -> None:
    """It says which, before anything runs. An empty list, and a known name, will do."""
    with pytest.raises(SettingInvalid, match=reason):
        async with open_pools(packages=("markupsafe", name)):
            pass


async def test_a_pool_that_cannot_start_says_so_at_once(monkeypatch) -> None:
    """The next ones who ask are told the same, without another attempt; the other pool is there."""
    async with open_pools() as pools:
        command = pools._command
        monkeypatch.setattr(pools, "_command", lambda _language: ("/nonexistent",))
        for _ in range(2):
            with pytest.raises(NotReady, match="did not start"):
                await pools.of(FULL)
            monkeypatch.setattr(pools, "_command", command)
        assert (await pools.of(RESTRICTED)).language == RESTRICTED


async def test_a_package_that_is_not_listed_is_not_there() -> None:
    """A worker that fails at the top says so as its own failure."""
    async with open_pools() as pools:
        rig = Rig(pools)
        failed = await rig.load("import markupsafe\n")
        assert not isinstance(failed, Worker)
        assert failed.name == "ModuleNotFoundError"
        await rig.end()
