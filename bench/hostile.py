"""Workers that try to use more than their share: what each does, and what it must end in.

Plain Python that the language policy lets through; the second wall's limits are all that stops it.
"""

from dataclasses import dataclass

from cloister.limits import Limits
from cloister.outcomes import Outcome

LIMITS = Limits(cpu_ms=100, memory_mb=32, wall_ms=20_000, subrequests=5)
"""Of each attack, unless it says otherwise."""

BRIEF = Limits(cpu_ms=100, memory_mb=32, wall_ms=600, subrequests=5)
LASTING = Limits(cpu_ms=5_000, memory_mb=32, wall_ms=20_000, subrequests=5)
SPACIOUS = Limits(cpu_ms=100, memory_mb=256, wall_ms=20_000, subrequests=5)
LARGE = Limits(cpu_ms=2_000, memory_mb=256, wall_ms=20_000, subrequests=5)

CPU, MEMORY, WALL = Outcome.EXCEEDED_CPU, Outcome.EXCEEDED_MEMORY, Outcome.EXCEEDED_WALL
RAISED, OK = Outcome.EXCEPTION, Outcome.OK

HARMLESS = "/harmless"
"""A path at which each of them answers as any worker would."""


@dataclass(frozen=True)
class Attack:
    """``body`` is what ``fetch`` does, ``top`` what the module has beside it."""

    body: str
    outcome: Outcome
    top: str = ""
    limits: Limits = LIMITS

    @property
    def source(self) -> str:
        """The worker's one module."""
        lines = "\n".join(f"        {line}" for line in self.body.strip("\n").split("\n"))
        return (
            "from workers import WorkerEntrypoint, Response\n"
            f"{self.top}\n"
            "class Default(WorkerEntrypoint):\n    async def fetch(self, request):\n"
            f"        if request.url.endswith({HARMLESS!r}): return Response('harmless')\n"
            f"{lines}\n        return Response('done')\n"
        )


_SWALLOW = """
while True:
    try:
        while True:
            pass
    except BaseException:
        pass
"""

_DEL = """
class Clinging:
    def __del__(self):
        while True:
            pass
"""

_NEST = """
def nested(levels, empty=()):
    value = empty
    for _ in range(levels):
        value = [value]
    return value
"""

_HOSTILE_KEY = """
class Key:
    def __init__(self, n):
        self.n = n
    def __lt__(self, other):
        sum(range(1000))
        return True
    def __eq__(self, other):
        sum(range(1000))
        return False
    def __hash__(self):
        return 1
"""

ATTACKS = {
    "plain requests": Attack("pass", OK),
    # Processor time, in Python:
    "a loop": Attack("while True: pass", CPU),
    "a loop that swallows every exception": Attack(_SWALLOW, CPU),
    "a loop in a finaliser": Attack("Clinging()", CPU, top=_DEL),
    "finalisers after the response": Attack("self.kept = [Clinging()]", CPU, top=_DEL),
    "a comparison that loops": Attack(
        "sorted([Key(n) for n in range(100_000)])", CPU, top=_HOSTILE_KEY
    ),
    "keys that collide": Attack("{Key(n): n for n in range(100_000)}", CPU, top=_HOSTILE_KEY),
    "an event loop that never rests": Attack(
        "while True: await asyncio.sleep(0)", CPU, top="import asyncio"
    ),
    "tasks that make tasks": Attack(
        "await spread()",
        CPU,
        top="import asyncio\nasync def spread():\n"
        "    asyncio.create_task(spread())\n    await asyncio.sleep(0)\n    await spread()",
        limits=SPACIOUS,
    ),
    "a task that outlives the response": Attack(
        "asyncio.create_task(spin())\nawait asyncio.sleep(0)",
        CPU,
        top="import asyncio\nasync def spin():\n    try: await asyncio.sleep(1000)\n"
        "    except BaseException:\n        while True: pass",
    ),
    "a task that refuses to be cancelled": Attack(
        "asyncio.create_task(cling())\nawait asyncio.sleep(0)",
        OK,
        top="import asyncio\nasync def cling():\n    while True:\n"
        "        try:\n            await asyncio.sleep(1000)\n"
        "        except BaseException:\n            pass",
    ),
    "a loop in waitUntil": Attack(
        "self.ctx.waitUntil(spin())", CPU, top="async def spin():\n    while True: pass"
    ),
    "a generator without end": Attack(
        "sum(forever())", CPU, top="def forever():\n    while True: yield 1"
    ),
    # Processor time, inside C:
    "a regular expression": Attack("re.match('(a*)*b', 'a' * 64)", CPU, top="import re"),
    "a power": Attack("3 ** 500_000_000", CPU, limits=SPACIOUS),
    "a long number as text": Attack(
        "str(1 << 10_000)\nint('7' * 4_000)\nx = 7 ** 3_000_000 % (7 ** 1_500_001 + 2)", CPU
    ),
    "a factorial": Attack("math.factorial(10_000_000)", CPU, top="import math"),
    "a sum": Attack("sum(range(10 ** 12))", CPU),
    "a search without end": Attack("-1 in itertools.count()", CPU, top="import itertools"),
    "a queue that takes without end": Attack(
        "collections.deque(itertools.count(), maxlen=0)", CPU, top="import collections, itertools"
    ),
    "a product": Attack(
        "collections.deque(itertools.product(range(100), repeat=9), maxlen=0)",
        CPU,
        top="import collections, itertools",
    ),
    "a sort": Attack("while True: sorted(range(100_000), key=lambda n: -n)", CPU),
    "a hash of a password": Attack(
        "hashlib.pbkdf2_hmac('sha256', b'', b'', 1_000_000_000)", CPU, top="import hashlib"
    ),
    "a decimal": Attack(
        "while True: decimal.Decimal(2).sqrt(decimal.Context(prec=100_000))",
        CPU,
        top="import decimal",
    ),
    "a compression": Attack("while True: zlib.compress(bytes(10_000_000))", CPU, top="import zlib"),
    "a replacement": Attack("while True: ('ab' * 1_000_000).replace('a', 'bb')", CPU),
    # Memory:
    "a large list": Attack("[0] * 10 ** 10", MEMORY),
    "a large text": Attack("'x' * 10 ** 10", MEMORY),
    "a text that is padded": Attack("'x'.ljust(10 ** 10)", MEMORY),
    "a format": Attack("'%1000000000d' % 1", MEMORY),
    "a text that is joined": Attack("''.join(['x' * 1_000_000] * 10_000)", MEMORY),
    "a join without end": Attack(
        "''.join(itertools.repeat('x'))", MEMORY, top="import itertools", limits=LASTING
    ),
    "many small objects": Attack("kept = []\nwhile True: kept.append([])", MEMORY, limits=LASTING),
    "a dictionary that grows": Attack(
        "kept = {}\nwhile True: kept[len(kept)] = None", MEMORY, limits=LASTING
    ),
    "a text that grows": Attack("kept = 'x'\nwhile True: kept += kept", MEMORY),
    "an inflated bomb": Attack(
        "bomb = zlib.compress(bytes(50_000_000))\nzlib.decompress(bomb)",
        MEMORY,
        top="import zlib",
        limits=LASTING,
    ),
    "a list from JSON": Attack(
        "json.loads('[' + '0,' * 4_000_000 + '0]')", MEMORY, top="import json", limits=LASTING
    ),
    "a password hash that takes memory": Attack(
        "hashlib.scrypt(b'', salt=b'', n=2 ** 20, r=8, p=1, maxmem=2 ** 31 - 1)",
        RAISED,
        top="import hashlib",
    ),
    "memory errors that are swallowed": Attack(
        "kept = []\nwhile True:\n    try: kept.append(bytes(1_000_000))\n"
        "    except MemoryError: pass",
        CPU,
    ),
    # Depth:
    "endless recursion": Attack("def deeper(): deeper()\ndeeper()", RAISED),
    "endless recursion through C": Attack(
        "def deeper(_): return sorted([0], key=deeper)\ndeeper(0)", RAISED
    ),
    "the form of a deep list": Attack("repr(nested(200_000))", RAISED, top=_NEST, limits=LARGE),
    "deep lists compared": Attack(
        "nested(200_000) == nested(200_000)", RAISED, top=_NEST, limits=LARGE
    ),
    "a deep copy": Attack(
        "copy.deepcopy(nested(200_000))", RAISED, top="import copy\n" + _NEST, limits=LARGE
    ),
    "a deep list let go of": Attack("nested(200_000)", OK, top=_NEST, limits=LARGE),
    "deep JSON read": Attack("json.loads('[' * 1_000_000)", RAISED, top="import json"),
    "deep JSON written": Attack(
        "json.dumps(nested(200_000))", RAISED, top="import json\n" + _NEST, limits=LARGE
    ),
    "a deep literal": Attack("ast.literal_eval('(' * 100_000)", RAISED, top="import ast"),
    "a deep expression": Attack("re.compile('(' * 100_000)", RAISED, top="import re"),
    "a chain of generators": Attack(
        "chain = iter(())\nfor _ in range(600_000): chain = itertools.chain(chain)\nlist(chain)",
        RAISED,
        top="import itertools",
        limits=LARGE,
    ),
    # Wall time:
    "a sleep": Attack("await asyncio.sleep(10 ** 6)", WALL, top="import asyncio", limits=BRIEF),
    "a sleep that blocks": Attack("time.sleep(10 ** 6)", WALL, top="import time", limits=BRIEF),
    "a future that nobody settles": Attack(
        "await asyncio.get_running_loop().create_future()", RAISED, top="import asyncio"
    ),
    "a lock taken twice": Attack(
        "lock = threading.Lock()\nlock.acquire()\nlock.acquire()",
        WALL,
        top="import threading",
        limits=BRIEF,
    ),
    # Output:
    "a log without end": Attack("while True: print('x' * 1_000)", CPU),
    "log lines without end": Attack("while True: print()", CPU),
    "a response without end": Attack(
        "async def pieces():\n    while True: yield b'x' * 100\nreturn Response(pieces())", CPU
    ),
}
