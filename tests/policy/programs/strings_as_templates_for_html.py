from html import escape
class Tag:
    def __init__(self, name, *children, **attrs): self.name, self.children, self.attrs = name, children, attrs
    def __html__(self): return str(self)
    def __str__(self):
        a = "".join(f' {k.rstrip("_")}="{escape(str(v))}"' for k, v in self.attrs.items())
        return f"<{self.name}{a}>{''.join(map(str, self.children))}</{self.name}>"
print(Tag("div", Tag("b", "x"), class_="c&d"), Tag("i").__html__())
