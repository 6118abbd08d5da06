class Emitter:
    def __init__(self): self.__handlers = {}
    def on(self, event):
        def register(f):
            self.__handlers.setdefault(event, []).append(f); return f
        return register
    def emit(self, event, *args): return [f(*args) for f in self.__handlers.get(event, ())]
e = Emitter()
@e.on("x")
def h(a): return a + 1
e.on("x")(lambda a: a * 2)
print(e.emit("x", 5), e.emit("y"), "_Emitter__handlers" in vars(e))
