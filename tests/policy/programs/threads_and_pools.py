import queue
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed, wait


class Counter:
    def __init__(self):
        self._lock = threading.Lock()
        self._value = 0

    def increment(self):
        with self._lock:
            self._value += 1
            return self._value


counter = Counter()
with ThreadPoolExecutor(max_workers=4, thread_name_prefix="w") as pool:
    print(list(pool.map(lambda x: x * x, range(5))), sum(pool.map(pow, [1, 2], [3, 4])))
    futures = {pool.submit(counter.increment): name for name in "abc"}
    print(sorted(future.result() for future in as_completed(futures)))
    failing = pool.submit(lambda: 1 / 0)
    print(type(failing.exception()).__name__, failing.done(), failing.cancelled())
    done, pending = wait([pool.submit(str, 1)])
    print(len(done), len(pending), done.pop().result())
try:
    failing.result()
except ZeroDivisionError as error:
    print(error)
future = pool.submit if False else None
event = threading.Event()
event.set()
print(event.is_set(), event.wait(0.1), threading.current_thread().name, threading.active_count())
semaphore = threading.BoundedSemaphore(2)
with semaphore, threading.RLock() as held:
    print(held)
condition = threading.Condition()
with condition:
    condition.notify_all()
    print(condition.wait_for(lambda: True))
local = threading.local()
local.x = 1
print(local.x, threading.current_thread() is threading.main_thread())
jobs = queue.PriorityQueue()
for job in ((2, "b"), (1, "a")):
    jobs.put(job)
print(jobs.get(), jobs.qsize(), jobs.empty())
try:
    queue.Queue().get_nowait()
except queue.Empty:
    print("empty")
