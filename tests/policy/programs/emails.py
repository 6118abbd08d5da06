import email
from email import encoders, policy
from email.header import Header, decode_header
from email.headerregistry import Address
from email.message import EmailMessage
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.parser import BytesParser
from email.utils import formataddr, getaddresses, make_msgid, parseaddr

message = EmailMessage()
message["Subject"] = "Grüße & more"
message["From"] = Address("Ann Example", "ann", "example.org")
message["To"] = [Address("Bob", addr_spec="bob@example.org"), Address(addr_spec="carl@example.org")]
message.set_content("Hello\nWorld ü\n")
message.add_alternative("<p>Hello</p>", subtype="html")
message.add_attachment(b"\x00\x01", maintype="application", subtype="octet-stream", filename="data.bin")
message.preamble = "This is MIME."
print(message.get_content_type(), message.is_multipart(), [part.get_content_type() for part in message.walk()])
print(message["To"], message["to"].addresses[0].domain, message["Subject"], message.get("X-None", "none"))
raw = message.as_bytes()
again = BytesParser(policy=policy.default).parsebytes(raw)
print(again["subject"], again.get_body(("html",)).get_content().strip(), again.get_body().get_content().splitlines())
print([(a.get_filename(), a.get_content()) for a in again.iter_attachments()])
old = email.message_from_string("From: x@y.z\nSubject: =?utf-8?q?=C3=BC?=\nX-A: 1\nX-A: 2\n\nbody\n")
print(old["Subject"], decode_header(old["Subject"]), old.get_all("X-A"), old.get_payload(), old.items()[0])
try:
    message["Subject"] = "twice"
except ValueError as error:
    print(error)
del message["Subject"]
message["Subject"] = "new"
print(message.keys(), "subject" in message, len(message))
mixed = MIMEMultipart("mixed", boundary="BOUND")
mixed["Subject"] = str(Header("Grüße", "utf-8"))
mixed.attach(MIMEText("plain", "plain", "utf-8"))
part = MIMEBase("application", "zip")
part.set_payload(b"PK")
encoders.encode_base64(part)
part.add_header("Content-Disposition", "attachment", filename="a.zip")
mixed.attach(part)
print(mixed.as_string())
print(formataddr(("Ann", "a@b.c")), parseaddr("Ann <a@b.c>"), getaddresses(["a@b.c, D <d@e.f>"]), make_msgid(domain="x.y").endswith("@x.y>"))
print(EmailMessage(policy=policy.SMTP.clone(max_line_length=40)).policy.max_line_length, policy.strict.raise_on_defect)
import copy
twin = copy.deepcopy(message)
twin.replace_header("Subject", "twin")
print(message["Subject"], twin["Subject"], twin["To"] == message["To"])
