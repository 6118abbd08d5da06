import asyncio, contextlib, functools
def retry(times):
    def deco(f):
        @functools.wraps(f)
        async def wrapper(*a, **k):
            for i in range(times):
                try: return await f(*a, **k)
                except ValueError:
                    if i == times - 1: raise
                    await asyncio.sleep(0)
        return wrapper
    return deco
calls = 0
@retry(3)
async def flaky():
    global calls
    calls += 1
    if calls < 3: raise ValueError(calls)
    return calls
@contextlib.asynccontextmanager
async def session():
    print("open")
    try: yield "s"
    finally: print("close")
class Cache:
    def __init__(self): self._lock, self._d = asyncio.Lock(), {}
    async def get(self, k):
        async with self._lock:
            if k not in self._d: self._d[k] = await self._load(k)
            return self._d[k]
    async def _load(self, k): await asyncio.sleep(0); return k * 2
async def producer(q):
    for i in range(3): await q.put(i)
    await q.put(None)
async def main():
    print(await flaky())
    async with session() as s: print(s)
    print(await asyncio.gather(*map(Cache().get, "ab")))
    q = asyncio.Queue(maxsize=1); t = asyncio.create_task(producer(q)); got = []
    while (x := await q.get()) is not None: got.append(x)
    await t; print(got)
    sem = asyncio.Semaphore(2); ev = asyncio.Event(); ev.set(); await ev.wait()
    async with sem: print(sem.locked())
    try:
        async with asyncio.TaskGroup() as tg:
            tg.create_task(fail()); tg.create_task(asyncio.sleep(1))
    except* ValueError as e: print(e.exceptions)
    cond = asyncio.Condition()
    async with cond: cond.notify_all()
    loop = asyncio.get_running_loop(); f = loop.create_future()
    loop.call_soon(f.set_result, 1); print(await f, loop.time() > 0)
async def fail(): raise ValueError("f")
