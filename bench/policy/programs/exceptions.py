"""Errors raised, caught, translated and passed through context managers."""

SIZE = 3_000


class Refused(Exception):
    def __init__(self, reason, code):
        super().__init__(reason)
        self.reason = reason
        self.code = code


class Suppress:
    def __init__(self, *kinds):
        self.kinds = kinds
        self.count = 0

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if kind is not None and issubclass(kind, self.kinds):
            self.count += 1
            return True
        return False


def check(value):
    if value % 3 == 0:
        raise ValueError(f"{value} is divisible by three")
    if value % 5 == 0:
        raise Refused("divisible by five", value)
    return value


def translated(value):
    try:
        return check(value)
    except ValueError as error:
        raise Refused(str(error), -1) from error
    finally:
        value += 1


def run(size):
    codes, suppressed = [], Suppress(KeyError, IndexError)
    for value in range(size):
        try:
            codes.append(translated(value))
        except Refused as refused:
            codes.append(refused.code)
        with suppressed:
            [][value]
    return sum(codes), suppressed.count, codes[:8]
