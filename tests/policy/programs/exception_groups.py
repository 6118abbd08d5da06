try:
    raise ExceptionGroup("many", [ValueError(1), TypeError(2), KeyError(3)])
except* (ValueError, TypeError) as group: print("first", group.exceptions)
except* KeyError as group: print("second", group.exceptions)
def nested():
    try:
        raise ExceptionGroup("g", [ExceptionGroup("h", [ValueError("deep")]), OSError("io")])
    except* ValueError as g: print(g)
try: nested()
except BaseExceptionGroup as rest: print(rest.exceptions)
