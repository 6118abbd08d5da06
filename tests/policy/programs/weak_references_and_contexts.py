import weakref, contextvars, threading
class C: pass
c = C(); r = weakref.ref(c); d = weakref.WeakValueDictionary(a=c); print(r() is c, "a" in d)
weakref.finalize(c, print, "finalized")
del c; print(r(), len(d))
v = contextvars.ContextVar("v", default=1); t = v.set(2); ctx = contextvars.copy_context(); v.reset(t)
print(v.get(), ctx.run(v.get), ctx[v], v in ctx)
with threading.Lock(): print("locked")
l = threading.local(); l.x = 1; print(l.x)
