class AppError(Exception):
    def __init__(self, message, code=400, **details):
        super().__init__(message)
        self.code, self.details = code, details
class NotFound(AppError): pass
def f(kind):
    try:
        if kind == 1: raise NotFound("nope", 404, path="/x")
        if kind == 2: return {}["k"]
        return 1 / (3 - kind)
    except (KeyError, ZeroDivisionError) as e:
        raise RuntimeError("wrapped") from e
    else: print("never")
    finally: print("finally", kind)
for k in (1, 2, 3, 4):
    try: print(f(k))
    except AppError as e: print(type(e).__name__, e, e.code, e.details, e.args)
    except RuntimeError as e: print(repr(e), repr(e.__cause__), e.__suppress_context__)
e = ValueError("x"); e.add_note("note"); e.custom = 1
print(e.__notes__, e.custom)
