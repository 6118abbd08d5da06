"""A calculator: a lexer, a recursive parser and a visitor that finds its methods by name."""

SIZE = 110

SOURCE = "(a + 3) * 4 - b / (2 + c) + -7 * (d - (e + 1) * 2) + f(a, b * 2, (c - 1))"


class Token:
    def __init__(self, kind, text):
        self.kind = kind
        self.text = text


class Lexer:
    def __init__(self, text):
        self.text = text
        self.position = 0

    def tokens(self):
        while self.position < len(self.text):
            char = self.text[self.position]
            if char.isspace():
                self.position += 1
            elif char.isalnum():
                yield self._word()
            else:
                self.position += 1
                yield Token("operator", char)
        yield Token("end", "")

    def _word(self):
        start = self.position
        while self.position < len(self.text) and self.text[self.position].isalnum():
            self.position += 1
        text = self.text[start : self.position]
        return Token("number" if text.isdigit() else "name", text)


class Parser:
    def __init__(self, text):
        self._tokens = list(Lexer(text).tokens())
        self._at = 0

    @property
    def _current(self):
        return self._tokens[self._at]

    def _take(self, *texts):
        token = self._current
        if token.text in texts:
            self._at += 1
            return token
        return None

    def expression(self):
        left = self._term()
        while token := self._take("+", "-"):
            left = ("binary", token.text, left, self._term())
        return left

    def _term(self):
        left = self._factor()
        while token := self._take("*", "/"):
            left = ("binary", token.text, left, self._factor())
        return left

    def _factor(self):
        if self._take("-"):
            return ("negative", self._factor())
        if self._take("("):
            inside = self.expression()
            self._take(")")
            return inside
        token = self._current
        self._at += 1
        if token.kind == "number":
            return ("number", int(token.text))
        if self._take("("):
            arguments = [self.expression()]
            while self._take(","):
                arguments.append(self.expression())
            self._take(")")
            return ("call", token.text, arguments)
        return ("name", token.text)


class Evaluator:
    def __init__(self, names):
        self.names = names

    def visit(self, node):
        return getattr(self, f"visit_{node[0]}")(*node[1:])

    def visit_number(self, value):
        return value

    def visit_name(self, name):
        return self.names[name]

    def visit_negative(self, inside):
        return -self.visit(inside)

    def visit_call(self, name, arguments):
        return self.names[name](*[self.visit(argument) for argument in arguments])

    def visit_binary(self, operator, left, right):
        a, b = self.visit(left), self.visit(right)
        if operator == "+":
            return a + b
        if operator == "-":
            return a - b
        return a * b if operator == "*" else a // b


def run(size):
    total = 0
    for number in range(size):
        names = {"a": number, "b": 2, "c": 3, "d": 4, "e": number % 5, "f": max}
        total += Evaluator(names).visit(Parser(SOURCE).expression())
    return total
