import sys
import traceback
import warnings


class AppError(Exception):
    def __init__(self, message, code=1):
        super().__init__(message)
        self.code = code


def inner():
    raise AppError("broken", code=7)


def outer():
    try:
        inner()
    except AppError as error:
        raise RuntimeError("outer failed") from error


try:
    outer()
except RuntimeError as error:
    text = traceback.format_exc()
    print(text.splitlines()[0], text.splitlines()[-1], "direct cause" in text)
    print(error.__cause__.code, repr(error), error.args, sys.exc_info()[0].__name__)
    frames = traceback.extract_tb(error.__traceback__)
    print([frame.name for frame in frames], frames[-1].lineno > 0)
    print(traceback.format_exception_only(type(error), error)[0].strip())
    error.add_note("a note")
    print(error.__notes__)
try:
    raise ExceptionGroup("several", [ValueError("a"), TypeError("b"), ExceptionGroup("in", [ValueError("c")])])
except* ValueError as group:
    print(len(group.exceptions), group.subgroup(lambda e: str(e) == "a").exceptions)
except* TypeError as group:
    print(group.message, group.exceptions)
try:
    try:
        raise KeyError("k")
    finally:
        print("finally")
except KeyError as error:
    print(error)
else:
    print("never")
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    warnings.warn("old", DeprecationWarning, stacklevel=2)
print(len(caught), caught[0].category.__name__, str(caught[0].message))
