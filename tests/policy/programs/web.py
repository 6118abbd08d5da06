from urllib.parse import urlparse, parse_qs, urlencode, quote, urljoin, urlsplit, parse_qsl
from http import HTTPStatus, HTTPMethod
from http.cookies import SimpleCookie
from html.parser import HTMLParser
import mimetypes, email.utils, ipaddress
u = urlparse("https://u:p@host:81/p/a?q=1&q=2#f")
print(u.netloc, u.hostname, u.port, parse_qs(u.query), urlencode({"a": [1, 2]}, doseq=True), quote("a b/c"))
print(urljoin("http://a/b/", "../c"), HTTPStatus.NOT_FOUND.phrase, HTTPStatus(200), HTTPMethod.GET, u._replace(path="/x").geturl())
c = SimpleCookie("a=1; b=2"); c["a"]["path"] = "/"; print(c["a"].value, c["b"].output())
class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.links, self._depth = [], 0
    def handle_starttag(self, tag, attrs):
        self._depth += 1
        if tag == "a": self.links.append(dict(attrs).get("href"))
p = Links(); p.feed('<p><a href="/x">t</a>'); print(p.links, p._depth)
print(mimetypes.guess_type("a.html"), email.utils.parseaddr("N <a@b.c>"), ipaddress.ip_address("10.0.0.1").is_private)
print(ipaddress.ip_address("10.0.0.1") in ipaddress.ip_network("10.0.0.0/8"), email.utils.format_datetime is not None)
