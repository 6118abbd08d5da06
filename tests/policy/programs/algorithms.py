def quicksort(a):
    if len(a) <= 1: return a
    p, *rest = a
    return quicksort([x for x in rest if x < p]) + [p] + quicksort([x for x in rest if x >= p])
def sieve(n):
    flags = bytearray([1]) * (n + 1)
    for i in range(2, int(n**0.5) + 1):
        if flags[i]: flags[i*i::i] = bytes(len(flags[i*i::i]))
    return [i for i in range(2, n + 1) if flags[i]]
def dijkstra(g, s):
    import heapq
    dist, heap = {s: 0}, [(0, s)]
    while heap:
        d, u = heapq.heappop(heap)
        if d > dist.get(u, float("inf")): continue
        for v, w in g[u].items():
            if (nd := d + w) < dist.get(v, float("inf")):
                dist[v] = nd; heapq.heappush(heap, (nd, v))
    return dist
print(quicksort([3, 1, 2, 3]), sieve(30), dijkstra({"a": {"b": 1, "c": 5}, "b": {"c": 1}, "c": {}}, "a"))
def depth(n): return 0 if n == 0 else 1 + depth(n - 1)
print(depth(500))
try: depth(10**6)
except RecursionError: print("too deep")
