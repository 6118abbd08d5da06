b = bytearray(b"hello"); b[0] = 72; b += b"!"; b[1:3] = b"EE"; del b[-1]
mv = memoryview(b); mv[0] = 104; print(b, bytes(mv[:2]), b.find(b"l"), list(b"ab"), b"a" in b"cab", mv.obj is b)
print(b"%d" % 5, b"x".hex(), "é".encode().decode("utf-8"), bytes(3), b"a,b".split(b","))
