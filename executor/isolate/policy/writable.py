"""Types of the library whose instances are data: a worker may set their public attributes.

Every other object of the library refuses it, since the library's own code may trust what is there:
``dataclasses.Field.name``, for one, becomes part of generated source.
"""

import argparse
import calendar
import configparser
import csv
import decimal
import functools
import reprlib
import textwrap
import threading
import types
from email.message import EmailMessage, Message
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

from executor.isolate.policy import guards
from executor.isolate.policy.etree import ET
from executor.isolate.policy.facades.loggers import BASES
from executor.isolate.policy.facades.logs import LogRecord
from executor.isolate.policy.facades.reports import PrettyPrinter

_MESSAGES = (Message, EmailMessage, MIMEMultipart, MIMEText)

WRITABLE: dict[type, str] = {
    types.SimpleNamespace: "it exists for that",
    threading.local: "it exists for that",
    decimal.Context: "precision and rounding are set so",
    textwrap.TextWrapper: "its options are documented attributes",
    reprlib.Repr: "its options are documented attributes",
    PrettyPrinter: "its options are attributes",
    csv.DictReader: "fieldnames is set so",
    csv.DictWriter: "fieldnames is set so",
    calendar.Calendar: "firstweekday is set so",
    calendar.TextCalendar: "firstweekday is set so",
    calendar.HTMLCalendar: "its CSS classes are set so",
    ET.Element: "its tag, text and tail are attributes",
    argparse.ArgumentParser: "its options are attributes",
    argparse.Namespace: "it exists for that",
    configparser.ConfigParser: "optionxform is set so",
    configparser.RawConfigParser: "optionxform is set so",
    configparser.SectionProxy: "converters are set so",
    **dict.fromkeys(_MESSAGES, "preamble and epilogue are attributes"),
    functools.partial: "functions may carry attributes",
    type(functools.lru_cache(lambda: None)): "functions may carry attributes",
    LogRecord: "filters add attributes",
    **dict.fromkeys(BASES, "loggers and handlers are configured so"),
}
"""Each type, with the reason."""


def install() -> None:
    """Let the guards know them."""
    guards.writable_types.update(WRITABLE)
