"""A cache with a linked list in it: chains of private attributes, read and written."""

SIZE = 5_000


class _Node:
    __slots__ = ("_key", "_next", "_previous", "_value")

    def __init__(self, key, value):
        self._key = key
        self._value = value
        self._previous = self._next = self


class Cache:
    def __init__(self, room):
        self._room = room
        self._nodes = {}
        self._root = _Node(None, None)
        self.hits = self.misses = 0

    def get(self, key):
        node = self._nodes.get(key)
        if node is None:
            self.misses += 1
            return None
        self.hits += 1
        self._unlink(node)
        self._push(node)
        return node._value

    def put(self, key, value):
        if key in self._nodes:
            self._unlink(self._nodes[key])
        elif len(self._nodes) >= self._room:
            oldest = self._root._previous
            self._unlink(oldest)
            del self._nodes[oldest._key]
        node = self._nodes[key] = _Node(key, value)
        self._push(node)

    def _unlink(self, node):
        node._previous._next = node._next
        node._next._previous = node._previous

    def _push(self, node):
        node._previous = self._root
        node._next = self._root._next
        self._root._next._previous = node
        self._root._next = node

    def __len__(self):
        return len(self._nodes)


def run(size):
    cache, total = Cache(60), 0
    for number in range(size):
        key = number * number % 137
        value = cache.get(key)
        if value is None:
            cache.put(key, number)
        else:
            total += value
    return cache.hits, cache.misses, len(cache), total
