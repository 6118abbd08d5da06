import re
from typing import NamedTuple, Iterator
class Token(NamedTuple): type: str; value: str
def tokenize(s: str) -> Iterator[Token]:
    spec = [("NUM", r"\d+"), ("OP", r"[+*()-]"), ("WS", r"\s+")]
    for m in re.finditer("|".join(f"(?P<{n}>{p})" for n, p in spec), s):
        if m.lastgroup != "WS": yield Token(m.lastgroup, m.group())
class Parser:
    def __init__(self, s): self.toks = list(tokenize(s)); self.pos = 0
    def _peek(self): return self.toks[self.pos] if self.pos < len(self.toks) else Token("EOF", "")
    def _next(self): t = self._peek(); self.pos += 1; return t
    def expr(self):
        v = self.term()
        while self._peek().value in "+-" and self._peek().type == "OP":
            v = v + self.term() if self._next().value == "+" else v - self.term()
        return v
    def term(self):
        v = self.atom()
        while self._peek().value == "*": self._next(); v *= self.atom()
        return v
    def atom(self):
        t = self._next()
        if t.value == "(":
            v = self.expr(); self._next(); return v
        return int(t.value)
print(Parser("2 * (3 + 4) - 1").expr(), list(tokenize("1+2")))
