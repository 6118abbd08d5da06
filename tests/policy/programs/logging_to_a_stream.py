import logging, io
out = io.StringIO()
log = logging.getLogger("app.db"); log.propagate = False
h = logging.StreamHandler(out); h.setFormatter(logging.Formatter("%(levelname)s:%(name)s:%(message)s"))
log.addHandler(h); log.setLevel(logging.INFO)
log.debug("no"); log.info("yes %d", 3); log.warning("w"); log.error("e %s", "x", extra={"k": 1})
log.info("%(a)s", {"a": 5}); print(out.getvalue(), log.isEnabledFor(10), logging.getLevelName(30))
class Mem(logging.Handler):
    def __init__(self): super().__init__(); self.rows = []
    def emit(self, record): self.rows.append((record.levelname, record.getMessage()))
m = Mem(); root = logging.getLogger("mem"); root.addHandler(m); root.propagate = False
root.error("x"); logging.getLogger("mem.child").critical("y"); print(m.rows)
