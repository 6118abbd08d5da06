import base64
import binascii
import bz2
import codecs
import csv
import gzip
import hashlib
import hmac
import html
import io
import json
import lzma
import struct
import uuid
import zlib
from decimal import Decimal
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit


class Encoder(json.JSONEncoder):
    def default(self, value):
        return str(value) if isinstance(value, Decimal) else super().default(value)


print(json.dumps({"d": Decimal("1.5"), "s": {1: None}}, cls=Encoder, indent=1, sort_keys=True))
print(json.loads('{"a": 1.5}', parse_float=Decimal, object_hook=lambda d: sorted(d.items())))
try:
    json.loads("{bad")
except json.JSONDecodeError as error:
    print(error.msg, error.pos, error.lineno)
rows = list(csv.DictReader(io.StringIO('name,age\n"Ann, A",3\nBob,4\n')))
print(rows)
out = io.StringIO()
writer = csv.DictWriter(out, fieldnames=["a", "b"], extrasaction="ignore", lineterminator="\n")
writer.writeheader()
writer.writerow({"a": 1, "b": 'x"y', "c": 2})
print(out.getvalue())
for module in (zlib, gzip, bz2, lzma):
    packed = module.compress(b"abc" * 100)
    print(module.__name__, module.decompress(packed) == b"abc" * 100)
print(struct.unpack("<IHb", struct.pack("<IHb", 1, 2, -3)), struct.calcsize(">Q"), binascii.hexlify(b"\x01\xff"))
print(base64.urlsafe_b64encode(b"\xfb\xff").decode(), base64.b32decode("ME======"), codecs.encode("Hello", "rot13"))
print(codecs.decode(b"\xef\xbb\xbfhi", "utf-8-sig"), b"\x80".decode("cp1252"), codecs.BOM_UTF8)
decoder = codecs.getincrementaldecoder("utf-8")()
print(decoder.decode(b"\xc3"), decoder.decode(b"\xbc"), "".join(codecs.iterdecode([b"a", b"\xc3", b"\xa4"], "utf-8")))
print(hashlib.sha256(b"x").hexdigest()[:8], hmac.new(b"k", b"m", "sha1").hexdigest()[:8], hmac.compare_digest("a", "a"))
print(uuid.UUID("12345678123456781234567812345678"), uuid.uuid5(uuid.NAMESPACE_DNS, "a.b"), uuid.uuid4().version)
print(html.escape("<a href='x'>"), html.unescape("&eacute;&#33;"))
print(urlsplit("https://u:p@h:8/p?q=1#f").port, parse_qs("a=1&a=2&b="), urlencode({"a": [1, 2]}, doseq=True), urljoin("http://a/b/c", "../d"))


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.links = []

    def handle_starttag(self, tag, attrs):
        if tag == "a":
            self.links.append(dict(attrs).get("href"))


links = Links()
links.feed('<p><a href="/x">x</a><a name=y><a href=z></p>')
print(links.links)
cookie = SimpleCookie("a=1; b=two")
cookie["c"] = "3"
cookie["c"]["path"] = "/"
cookie["c"]["httponly"] = True
print({key: morsel.value for key, morsel in cookie.items()}, cookie["c"].OutputString())
