import asyncio
async def work(n):
    await asyncio.sleep(0)
    return n * 2
async def agen(n):
    for i in range(n):
        yield i
        await asyncio.sleep(0)
class ACM:
    async def __aenter__(self): print("in"); return self
    async def __aexit__(self, *e): print("out", e[0])
class AIter:
    def __init__(self): self.n = 2
    def __aiter__(self): return self
    async def __anext__(self):
        if not self.n: raise StopAsyncIteration
        self.n -= 1
        return self.n
class Later:
    def __await__(self): yield from asyncio.sleep(0).__await__(); return "later"
async def main():
    print(await asyncio.gather(*(work(i) for i in range(3))))
    print([x async for x in agen(3) if x], {x: 1 async for x in AIter()}, await Later())
    async with ACM() as a, asyncio.timeout(1): pass
    async for x in agen(1): print(x)
    else: print("else")
    t = asyncio.create_task(work(5), name="t"); print(await t, t.done(), t.get_name())
    try: await asyncio.wait_for(asyncio.Event().wait(), 0.001)
    except (asyncio.TimeoutError, TimeoutError): print("timeout")
    async with asyncio.TaskGroup() as tg:
        ts = [tg.create_task(work(i)) for i in range(2)]
    print([t.result() for t in ts])
    q = asyncio.Queue(); await q.put(1); print(await q.get(), q.empty())
    lock = asyncio.Lock()
    async with lock: print(lock.locked())
    done, pending = await asyncio.wait([asyncio.ensure_future(work(1))])
    print(len(done), len(pending), await asyncio.shield(work(2)))
    f = asyncio.get_running_loop().create_future(); f.set_result(3); print(await f)
    print(await asyncio.to_thread(sum, [1, 2]), asyncio.iscoroutinefunction(work))
    async def fail(): raise ValueError("x")
    print(await asyncio.gather(fail(), return_exceptions=True))
    task = asyncio.create_task(asyncio.sleep(10)); task.cancel()
    try: await task
    except asyncio.CancelledError: print("cancelled")
    async for first in asyncio_first(): print(first)
async def asyncio_first():
    for c in asyncio.as_completed([work(1)]): yield await c
