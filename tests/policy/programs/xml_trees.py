import io
import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape, quoteattr, unescape

TEXT = """<?xml version="1.0"?>
<catalog xmlns:x="urn:x">
  <!-- books -->
  <book id="1" lang="en"><title>One &amp; two</title><price>10.5</price></book>
  <book id="2"><title>Three</title><price>20</price><x:note>n</x:note></book>
</catalog>"""
root = ET.fromstring(TEXT)
print(root.tag, len(root), [book.get("id") for book in root.findall("book")])
print(root.find("book/title").text, root.findtext("book[@id='2']/price"), root.find("nothing"))
print(sum(float(price.text) for price in root.iter("price")))
print([child.tag for child in root[1]], root.find("{urn:x}note"), root.find(".//x:note", {"x": "urn:x"}).text)
for book in root:
    book.set("seen", "yes")
    book.attrib.pop("lang", None)
print(ET.tostring(root[0]).decode().strip())
new = ET.SubElement(root, "book", {"id": "3"}, lang="de")
ET.SubElement(new, "title").text = "Vier < fünf"
print(ET.tostring(new, encoding="unicode"), ET.tostring(new, encoding="utf-8")[:20])
ET.indent(new)
print(ET.tostring(new, encoding="unicode"))
root.remove(new)
tree = ET.ElementTree(root)
out = io.BytesIO()
tree.write(out, encoding="utf-8", xml_declaration=True)
print(out.getvalue()[:60], ET.parse(io.BytesIO(out.getvalue())).getroot().tag)
for event, element in ET.iterparse(io.StringIO("<a><b>1</b><b>2</b></a>"), events=("start", "end")):
    print(event, element.tag, element.text)
pull = ET.XMLPullParser(["end"])
pull.feed("<r><i/>")
pull.feed("</r>")
print([element.tag for _, element in pull.read_events()])
try:
    ET.fromstring("<a><b></a>")
except ET.ParseError as error:
    print(error, error.position, error.code)


class Titles:
    def __init__(self):
        self.titles, self.inside = [], False

    def start(self, tag, attributes):
        self.inside = tag == "title"

    def end(self, tag):
        self.inside = False

    def data(self, text):
        if self.inside:
            self.titles.append(text)

    def close(self):
        return "".join(self.titles)


parser = ET.XMLParser(target=Titles())
parser.feed(TEXT)
print(parser.close())
print(ET.XML("<a>&#65;&lt;</a>").text, ET.iselement(root), ET.Element("x") is not None)
builder = ET.TreeBuilder()
builder.start("a", {"k": "v"})
builder.data("text")
builder.end("a")
print(ET.tostring(builder.close()))
print(ET.canonicalize("<a  b='2' a='1'/>"), escape("<&>"), quoteattr('a"b'), unescape("&lt;"))
ET.register_namespace("x", "urn:x")
print(ET.tostring(root[1], encoding="unicode").strip()[:60])
import copy
twin = copy.deepcopy(root)
twin[0][0].text = "changed"
print(root[0][0].text, twin[0][0].text, len(copy.copy(root)))
