import re, string, textwrap, difflib, unicodedata, html, shlex
print(re.sub(r"(?P<w>\w+)", lambda m: m["w"].title(), "hello big world"), re.findall("[aeiou]", "education"))
print(string.Template("$a and ${b}").substitute(a=1, b=2), string.ascii_lowercase[:3])
print(textwrap.fill("the quick brown fox jumps", 10), textwrap.dedent("  x\n  y"))
print(difflib.get_close_matches("appel", ["ape", "apple"]), unicodedata.normalize("NFC", "e\u0301"))
print(html.escape("<a&b>"), shlex.split("a 'b c'"), "ß".upper(), "a,b".split(","), "x".join("abc"))
print("naïve".encode("utf-8"), b"\xff".decode("latin-1"), "%r" % "q", repr("it's"), ascii("é"))
class F(string.Formatter):
    def get_value(self, key, args, kw):
        return kw.get(key, f"<{key}>") if isinstance(key, str) else super().get_value(key, args, kw)
print(F().format("{a} {b} {0}", 1, a=2))
class Tpl(string.Template): delimiter = "%"
print(Tpl("%x").substitute(x=1))
