import io, csv, array, heapq, bisect
f = io.StringIO(); w = csv.DictWriter(f, fieldnames=["a", "b"]); w.writeheader(); w.writerow({"a": 1, "b": "x,y"})
print(repr(f.getvalue()), [row["b"] for row in csv.DictReader(io.StringIO(f.getvalue()))])
print(list(csv.reader(["1;2"], delimiter=";")), io.BytesIO(b"abc").read(2), array.array("i", [1, 2]).tolist())
print("to file", file=f, end="!"); print(f.getvalue()[-8:])
h = [5, 1, 3]; heapq.heapify(h); heapq.heappush(h, 0); print(heapq.heappop(h), heapq.nlargest(2, h))
l = [1, 3]; bisect.insort(l, 2); print(l, bisect.bisect_left(l, 3), memoryview(b"abc")[1:].tobytes())
