import asyncio
import contextlib


async def work(n, delay=0):
    await asyncio.sleep(delay)
    return n * 2


async def producer(queue):
    for n in range(3):
        await queue.put(n)
    await queue.put(None)


async def consumer(queue):
    got = []
    while (item := await queue.get()) is not None:
        got.append(item)
        queue.task_done()
    return got


@contextlib.asynccontextmanager
async def resource(name):
    print("open", name)
    try:
        yield name
    finally:
        print("close", name)


async def numbers():
    for n in range(3):
        yield n
        await asyncio.sleep(0)


async def main():
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work(n)) for n in range(3)]
    print([task.result() for task in tasks])
    queue = asyncio.Queue(maxsize=1)
    print((await asyncio.gather(producer(queue), consumer(queue)))[1])
    try:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(10)
    except TimeoutError:
        print("timeout")
    try:
        await asyncio.wait_for(asyncio.sleep(10), 0.01)
    except asyncio.TimeoutError:
        print("wait_for")
    done, pending = await asyncio.wait({asyncio.create_task(work(1))}, return_when=asyncio.FIRST_COMPLETED)
    print(len(done), len(pending))
    print(sorted([await each for each in asyncio.as_completed([work(1), work(2)])]))
    results = await asyncio.gather(work(1), asyncio.sleep(0, "x"), return_exceptions=True)
    print(results)
    event, lock, semaphore = asyncio.Event(), asyncio.Lock(), asyncio.Semaphore(2)
    asyncio.get_running_loop().call_soon(event.set)
    await event.wait()
    async with lock, semaphore:
        print(lock.locked(), semaphore.locked())
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(10))
            group.create_task(fail())
    except* ValueError as errors:
        print([str(e) for e in errors.exceptions])
    task = asyncio.create_task(asyncio.sleep(10))
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        print("cancelled", task.cancelled())
    async with contextlib.AsyncExitStack() as stack:
        print(await stack.enter_async_context(resource("a")))
        stack.push_async_callback(work, 1)
    print([n async for n in numbers()], await asyncio.to_thread(len, "abc"))
    print(await asyncio.shield(work(4)), asyncio.current_task() is not None)
    loop = asyncio.get_running_loop()
    print(await loop.run_in_executor(None, sorted, [2, 1]))
    future = loop.create_future()
    future.add_done_callback(lambda f: print("done", f.result()))
    future.set_result(1)
    print(await future)
    await asyncio.sleep(0)
    condition = asyncio.Condition()
    async with condition:
        condition.notify()
    async with contextlib.aclosing(numbers()) as stream:
        async for n in stream:
            print(n)
            break


async def fail():
    raise ValueError("broken")
