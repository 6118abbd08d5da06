import contextlib
import io
import pprint
import string
import sys
import textwrap

buffer = io.StringIO()
with contextlib.redirect_stdout(buffer):
    print("inside", 1)
    sys.stdout.write("written\n")
    pprint.pprint({"b": [1, 2], "a": {"c": 3}})
print(repr(buffer.getvalue()))
errors = io.StringIO()
with contextlib.redirect_stderr(errors):
    print("problem", file=sys.stderr)
print(errors.getvalue().strip())
print(textwrap.fill("The quick brown fox jumps over the lazy dog", 20, initial_indent="* ", subsequent_indent="  "))
print(textwrap.dedent("""
    a
      b
""").strip(), textwrap.shorten("one two three four", 12, placeholder="..."), textwrap.indent("x\ny", "> "))
print(string.Template("$who likes ${what}, $$5").substitute(who="Ann", what="tea"))
print(string.Template("$a $b").safe_substitute(a=1), string.capwords("the end"))
print(f"{1234567.891:,.2f} {0.256:.1%} {255:#06x} {'x':^5}| {3!r:>4} {1e10:g} {-5:+d} {10:b}")
print("{0[k]} {1.real} {name!s:*^9}".format({"k": 1}, 2, name="mid"), "%05.1f|%-5s|%x" % (3.14159, "ab", 255))
text = io.TextIOWrapper(io.BytesIO("a;b\r\nü;d\r\n".encode("latin-1")), encoding="latin-1", newline="")
print(list(text))
print("line one\nline two".splitlines(), "a,b,,c".split(","), "x".join(["1", "2"]), "abc".translate(str.maketrans("a", "z")))
print(pprint.pformat(list(range(30)), width=40, compact=True))
print("äöü".encode("utf-8").decode("utf-8").casefold(), "ß".upper(), "a\tb".expandtabs(4), "7".zfill(3))
print(*[1, 2, 3], sep="-", end="!\n")
