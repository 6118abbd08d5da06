"""The library of workers where it differs from Python's own: what it reads, bounds and refuses."""

import pytest
from policy_cell import Cell

from executor.isolate.policy.facades import FACADE_NAMES, HINTS

FILES = {
    "settings.ini": "[server]\nport = 80\n",
    "data/people.json": '{"name": "Ann"}',
    "data/table.csv": "a,b\r\n1,2\r\n",
    "data/deep/raw.bin": b"\x00\xff\x01",
}


def reading(source: str) -> dict[str, str | bytes]:
    """A worker with some files and this main module."""
    return {"worker.py": source, **FILES}


def test_uploaded_files_are_read_with_open(cell: Cell) -> None:
    """``open`` reads the files that came with the worker, as text and as bytes, and no others."""
    cell.prints(
        reading(
            "import csv, io, json, configparser\n"
            "with open('data/people.json') as f: print(json.load(f), f.closed, f.name)\n"
            "print(f.closed, open('/data/deep/raw.bin', 'rb').read(), open('settings.ini').readline())\n"
            "print(list(csv.reader(open('data/table.csv', newline=''))), open('data/table.csv').read())\n"
            "config = configparser.ConfigParser()\n"
            "print(config.read(['settings.ini', 'missing.ini']), config['server'].getint('port'))\n"
            "print(open(b'settings.ini', encoding='ascii').readlines(), io.open is not None)"
        ),
        "{'name': 'Ann'} False data/people.json",
        "True b'\\x00\\xff\\x01' [server]\n",
        "[['a', 'b'], ['1', '2']] a,b\n1,2\n",
        "['settings.ini'] 80",
        "['[server]\\n', 'port = 80\\n'] True",
    )


def test_uploaded_files_are_found_through_paths(cell: Cell) -> None:
    """``pathlib.Path`` and ``os`` see the uploaded files as a directory tree."""
    cell.prints(
        reading(
            "import os\nfrom pathlib import Path\nhere = Path(__file__).parent\n"
            "print((here / 'settings.ini').read_text().split(), Path('data/deep/raw.bin').read_bytes())\n"
            "print(sorted(p.name for p in Path('data').iterdir()), Path('data').is_dir(), Path('x').exists())\n"
            "print([str(p) for p in Path('data').glob('*.json')], [p.name for p in Path('/').rglob('*.bin')])\n"
            "print(sorted(os.listdir('data')), os.path.getsize('settings.ini'), os.path.isfile('data'))\n"
            "print([(d, sorted(n), sorted(f)) for d, n, f in os.walk('data')])\n"
            "print(Path('a/../settings.ini').resolve(), Path.cwd(), Path('data/table.csv').open().readline())\n"
            "print(os.path.exists(os.path.join(os.path.dirname(__file__), 'data', 'people.json')))"
        ),
        "['[server]', 'port', '=', '80'] b'\\x00\\xff\\x01'",
        "['deep', 'people.json', 'table.csv'] True False",
        "['data/people.json'] ['raw.bin']",
        "['deep', 'people.json', 'table.csv'] 19 False",
        "[('data', ['deep'], ['people.json', 'table.csv']), ('data/deep', [], ['raw.bin'])]",
        "/settings.ini / a,b\n",
        "True",
    )


@pytest.mark.parametrize(
    ("attempt", "reason"),
    [
        ("open('x.txt', 'w')", "PermissionError: a worker cannot write files"),
        ("open('settings.ini', 'r+')", "PermissionError: a worker cannot write files"),
        ("open('/etc/passwd')", "a worker has only the files that were uploaded with it"),
        ("open('../../etc/passwd')", "a worker has only the files that were uploaded with it"),
        ("open('data')", "IsADirectoryError"),
        ("open(0)", "PermissionError: a worker has only the files"),
        ("open('settings.ini', opener=print)", "PermissionError"),
        ("open('settings.ini', 'rb').write(b'x')", "UnsupportedOperation: write"),
        ("open('settings.ini').write('x')", "UnsupportedOperation"),
        ("from pathlib import Path\nPath('a').write_text('x')", "PermissionError"),
        ("from pathlib import Path\nPath('/etc/passwd').read_text()", "FileNotFoundError"),
        ("import io\nio.FileIO('settings.ini')", 'no "FileIO" for workers'),
        ("import codecs\ncodecs.open('/etc/passwd')", "FileNotFoundError"),
        ("import xml.etree.ElementTree as E\nE.parse('/etc/passwd')", "FileNotFoundError"),
        (
            "import xml.etree.ElementTree as E\nE.ElementTree(E.Element('a')).write('x')",
            "Permission",
        ),
        ("import os\nos.listdir('/etc')", "FileNotFoundError"),
    ],
)
def test_no_other_file_is_read_and_none_is_written(cell: Cell, attempt: str, reason: str) -> None:
    """Each way to a file that was not uploaded, or to write one, says what is there instead."""
    cell.refuses(reading(attempt), reason)


DOCUMENT = '<!DOCTYPE a [<!ENTITY x "lol"><!ENTITY y "&x;&x;">]><a>&y;</a>'


@pytest.mark.parametrize(
    "parse",
    [
        "ET.fromstring(text)",
        "ET.fromstring(text.encode('utf-16'))",
        "ET.parse(io.StringIO(text))",
        "list(ET.iterparse(io.StringIO(text)))",
        "ET.canonicalize(text)",
        "ET.fromstring(text, ET.XMLParser(target=Target()))",
        "ET.XMLParser(target=ET.TreeBuilder()).feed(text)",
        "pull.feed(text), list(pull.read_events())",
        "ET.XMLID(text)",
        "type(ET.XMLParser())().feed(text)",
    ],
)
def test_xml_has_no_document_types(cell: Cell, parse: str) -> None:
    """No way to parse XML takes a document type, and with it entities; without one each works."""
    source = (
        "import io\nimport xml.etree.ElementTree as ET\n"
        "class Target:\n  def doctype(self, *parts): print('ESCAPED', parts)\n  def close(self): return 1\n"
        f"pull = ET.XMLPullParser()\ntext = %r\n{parse}\nprint('parsed')"
    )
    cell.refuses(
        source % DOCUMENT, "a document type (<!DOCTYPE>, with its entities) is not accepted"
    )
    cell.prints(source % "<a>&lt;</a>", "parsed")


AMID = {
    "find": "tree.find('b')",
    "findtext": "tree.findtext('b')",
    "findall": "tree.findall('b')",
    "iter": "list(tree.iter('b'))",
    "a path of the worker's own": "tree.find(Path('b'))",
    "slices": "tree[0:40] = emptying()",
    "extend": "tree.extend(emptying())",
    "an index": "tree[Index()] = ET.Element('c')",
    "copies": "copy.deepcopy(tree, {})",
}


@pytest.mark.parametrize("attempt", AMID.values(), ids=AMID.keys())
def test_code_amid_the_librarys_frees_no_element_that_is_in_use(cell: Cell, attempt: str) -> None:
    """Tags, paths, iterators and indexes of the worker's own empty the tree that is worked on: the
    elements in C then read freed memory. The tree is empty, and that is all."""
    source = f"""
import copy
import xml.etree.ElementTree as ET
class Tag:
    def __eq__(self, other):
        tree.clear()
        kept.extend(bytearray(48) for _ in range(100))
        return False
    def __ne__(self, other): return True
    def __deepcopy__(self, memo): tree.clear(); return "b"
class Path(str):
    def __eq__(self, other): tree.clear(); return False
    __hash__ = str.__hash__
class Index:
    def __index__(self): tree.clear(); return 0
def emptying():
    tree.clear()
    yield ET.Element("c")
kept = []
tree = ET.Element("a")
for _ in range(50):
    ET.SubElement(tree, "b").tag = Tag()
{attempt}
print(len(tree) < 2)
"""
    cell.prints(source, "True")


TAKING_AWAY = {
    "items": "numbers[1_999] = Number()",
    "the end": "numbers.append(Number())",
    "the start": "numbers.insert(0, Number())",
    "many": "numbers.extend(Number() for _ in range(9))",
    "a list": "numbers.fromlist([Number()])",
    "items of a slice": "numbers = numbers[:]; numbers[1_999] = Number()",
    "items of a sum": "numbers = numbers + numbers; numbers[3_999] = Number()",
    "items of a product": "numbers = 2 * numbers; numbers[3_999] = Number()",
    "items of a copy": "numbers = copy.deepcopy(numbers); numbers[1_999] = Number()",
    "a file": "numbers.tofile(File())",
}


@pytest.mark.parametrize("attempt", TAKING_AWAY.values(), ids=TAKING_AWAY.keys())
@pytest.mark.parametrize("code", ["i", "d"])
def test_an_array_asks_for_numbers_before_it_looks_for_places(
    cell: Cell, attempt: str, code: str
) -> None:
    """What a number does when it is asked cannot take the place away that it is written to."""
    source = f"""
import array, copy
class Number:
    def __index__(self):
        del numbers[:]
        kept.append(bytearray(8_000))
        return 0x41
    def __float__(self): return float(self.__index__())
class File:
    def write(self, data):
        del numbers[:]
        kept.append(bytearray(8_000))
kept = []
numbers = array.array({code!r}, [1] * 2_000)
try:
    {attempt}
except IndexError:
    pass
print(sum(map(sum, kept)), len(numbers) < 12)
"""
    cell.prints(source, "0 True")


def test_arrays(cell: Cell) -> None:
    """They are as ever: what they hold, refuse and give out."""
    source = """
import array, copy, struct
a = array.array("i", [1, 2])
a.append(3); a.insert(0, 0); a.extend([4]); a.fromlist([5]); a[1] = 9; a[2:3] = array.array("i", [7])
print(a, a[1:3], a + a[:1], a[:1] * 2, copy.copy(a) == a, a.typecode, len(a), 9 in a, a.index(9))
print(array.array("d", [1, 2.5]), array.array("u", "ab"), isinstance(a, array.array), type(a).__name__)
print(bytes(memoryview(a))[:4], struct.unpack("i", a[:1].tobytes()), array.array("b", b"ab").tolist())
for wrong in ("x", 1.5, None, 2**40):
    try: a.append(wrong)
    except (TypeError, OverflowError) as error: print(type(error).__name__)
match a:
    case array.array(): print("matched")
"""
    cell.prints(
        source,
        "array('i', [0, 9, 7, 3, 4, 5]) array('i', [9, 7]) array('i', [0, 9, 7, 3, 4, 5, 0])"
        " array('i', [0, 0]) True i 6 True 1",
        "array('d', [1.0, 2.5]) array('u', 'ab') True array",
        r"b'\x00\x00\x00\x00' (0,) [97, 98]",
        *("TypeError", "TypeError", "TypeError", "OverflowError"),
        "matched",
    )
    cell.refuses("import array\nclass A(array.array): pass", "cannot be extended")
    cell.refuses("import array\nsuper(array.array, array.array('i')).append", "super(")


def test_a_parser_is_not_used_by_what_it_calls(cell: Cell) -> None:
    """The parser in C would be amid a document. Its target's own parser can be used."""
    source = """
import xml.etree.ElementTree as ET
class Target:
    def start(self, tag, attrib): {}
    def close(self): return 1
parser = ET.XMLParser(target=Target())
parser.feed("<a/>")
print(parser.close())
"""
    for attempt in ("parser.feed('<c/>')", "parser.close()"):
        cell.refuses(source.format(attempt), "a parser cannot be used by its own target")
    cell.prints(source.format("ET.XMLParser().feed('<c/>')"), "1")


def test_xml_events(cell: Cell) -> None:
    """Those of the library, in its order; one that there is not is refused."""
    source = """
import io
import xml.etree.ElementTree as ET
text = "<a xmlns:q='u'><!--c--><q:b x='1'>t</q:b><?p d?></a>"
events = ("start", "end", "start-ns", "end-ns", "comment", "pi")
for event, what in ET.iterparse(io.StringIO(text), events=events):
    print(event, getattr(what, "text", what))
pull = ET.XMLPullParser({})
pull.feed(text)
print([(event, element.tag) for event, element in pull.read_events()])
"""
    told = ["start-ns ('q', 'u')", "start None", "comment c", "start t", "end t", "pi p d"]
    cell.prints(
        source.format(""), *told, "end None", "end-ns None", "[('end', '{u}b'), ('end', 'a')]"
    )
    cell.refuses(source.format("['fatal']"), "unknown event 'fatal'")


def test_xml_is_made_of_elements_of_the_library_only(cell: Cell) -> None:
    """The library would write on what a factory returns, and on what is indented."""
    cell.refuses(
        "import xml.etree.ElementTree as E, json\nE.TreeBuilder(element_factory=lambda *a: json.JSONEncoder)",
        "unexpected keyword argument 'element_factory'",
    )
    cell.refuses("import xml.etree.ElementTree as E\nE.indent([1])", "takes an element")


@pytest.mark.parametrize(
    ("attempt", "reason"),
    [
        (
            "p.parse_args(['--new', '1'], json.JSONEncoder)",
            "cannot set attributes of a type object",
        ),
        ("p.parse_args(['--new', '1'], json)", "cannot set attributes of a Facade"),
        (
            "p.add_argument('--x')(p, json.JSONEncoder, 'v')",
            "cannot set attributes of a type object",
        ),
        ("p.set_defaults(other=1)\np.parse_args([], json.JSONEncoder)", "cannot set attributes"),
        ("argparse.Namespace(__class__=Own)", 'the attribute "__class__" cannot be set'),
        (
            "p.add_argument('--x', dest='__class__', type=lambda x: Own)\np.parse_args(['--x', 'y'])",
            'the attribute "__class__" cannot be set',
        ),
    ],
)
def test_parsers_write_on_what_is_theirs_or_the_workers(
    cell: Cell, attempt: str, reason: str
) -> None:
    """An argument's value is set on a namespace or a worker's own object, and never a dunder."""
    head = (
        "import argparse, json\nclass Own: pass\n"
        "p = argparse.ArgumentParser()\np.add_argument('--new')\n"
    )
    cell.refuses(head + attempt, reason)
    cell.prints(head + "print(p.parse_args(['--new', '1'], Own()).new)", "1")


def test_a_signature_of_what_is_not_the_workers_is_not_told(cell: Cell) -> None:
    """The library's functions have no signature, text that stands for one is not evaluated."""
    cell.refuses("import inspect, json\ninspect.signature(json.dumps)", "no signature found")
    cell.refuses("import inspect\ninspect.signature(print)", "no signature found")
    cell.refuses(
        "import inspect, json\ninspect.Signature.from_callable(json.JSONEncoder)",
        "no signature found",
    )
    cell.refuses(
        "class C:\n  __text_signature__ = '(a=sys.modules)'",
        '"__text_signature__" cannot be defined',
    )


def test_unpacking_with_bz2_and_lzma_is_bounded(cell: Cell) -> None:
    """What unpacks to more than the bound is an error; several streams and small data are not."""
    cell.prints(
        "import bz2, lzma\n"
        "for m in (bz2, lzma):\n"
        "  packed = m.compress(bytes(1_000_000)) * 70\n"
        "  try: m.decompress(packed)\n  except (OSError, m.LZMAError if m is lzma else OSError) as e: print(e)\n"
        "  print(m.decompress(m.compress(b'a') + m.compress(b'b')))\n"
        "  try: m.decompress(m.compress(b'abc')[:-1])\n  except (ValueError, EOFError) as e: print(e)",
        *(
            "the data unpacks to more than 67108864 bytes",
            "b'ab'",
            "Compressed data ended before the end-of-stream marker was reached",
        )
        * 2,
    )


def test_codecs_that_unpack_or_load_code_are_not_there(cell: Cell) -> None:
    """``codecs`` has text encodings and a few harmless others."""
    cell.refuses("import codecs\ncodecs.decode(b'x', 'zlib')", "unknown encoding: zlib")
    cell.refuses("import codecs\ncodecs.lookup('bz2')", "unknown encoding: bz2")
    cell.refuses("import codecs\ncodecs.register(print)", 'no "register" for workers')
    cell.refuses("import codecs\ncodecs.getincrementaldecoder('hex')", "is not a text encoding")
    cell.prints(
        "import codecs\nprint(codecs.encode(b'a', 'hex'), codecs.lookup('UTF8').name)",
        "b'61' utf-8",
    )


def test_a_logging_configuration_imports_nothing(cell: Cell) -> None:
    """A class named in text is one of logging's own; a worker passes its own class itself."""
    base = "import logging.config\nlogging.config.dictConfig({'version': 1, 'handlers': {'h': %s}})"
    cell.refuses(base % "{'class': 'os.system'}", "is not available to workers")
    cell.refuses(base % "{'()': 'os.system'}", "pass the class itself")
    cell.refuses(base % "{'class': 'logging.FileHandler', 'filename': 'x'}", "is not available")


def test_a_buffer_that_trusts_its_source_cannot_be_made(cell: Cell) -> None:
    """Classes behind files answer isinstance only; a text file stands over bytes in memory."""
    cell.refuses("import io\nio.BufferedReader(io.BytesIO())", "cannot be made by a worker")
    cell.refuses("import io\nclass R(io.RawIOBase): pass", "cannot be extended by a worker")
    cell.refuses(
        "import io\nclass B:\n  def read(self): pass\nio.TextIOWrapper(B())", "takes an io.BytesIO"
    )
    cell.prints(
        "import io\nprint(isinstance(io.BytesIO(), io.IOBase), isinstance(3, io.IOBase))",
        "True False",
    )


def test_a_pool_runs_at_once_and_starts_nothing(cell: Cell) -> None:
    """A future that nobody completes cannot be waited for; threads are refused with a hint."""
    cell.refuses(
        "from concurrent.futures import Future\nFuture().result()", "nothing happens while it waits"
    )
    cell.refuses("import threading\nthreading.Thread(target=print)", "use asyncio tasks")
    cell.refuses("from concurrent.futures import ProcessPoolExecutor", "cannot start processes")


@pytest.mark.parametrize(
    ("attempt", "reason"),
    [
        ("policy.default.clone(__class__=Own)", "cannot be chosen by a worker"),
        ("policy.default.clone(message_factory=lambda **k: json)", "cannot be chosen by a worker"),
        ("type(policy.default)(__class__=Own)", "cannot be chosen by a worker"),
        ("policy.EmailPolicy(header_factory=print)", "cannot be chosen by a worker"),
        ("policy.default + json.JSONEncoder()", "only policies can be added"),
        ("email.message_from_string('', lambda **k: json.JSONEncoder)", "positional argument"),
        ("email.message_from_string('', policy=Own())", "the policy is one of email.policy"),
        ("type(policy.default.header_factory)(Own, dict)['x']", "one of the library's"),
        (
            "import email.parser\nemail.parser.Parser(lambda **k: json.JSONEncoder)",
            "positional argument",
        ),
    ],
)
def test_mail_makes_no_classes_and_writes_on_messages_only(
    cell: Cell, attempt: str, reason: str
) -> None:
    """Policies, parsers and registries of headers take no factories and no attribute by name."""
    head = "import email, json\nfrom email import policy\nclass Own: pass\n"
    cell.refuses(head + attempt, reason)
    cell.prints(
        head + "p = policy.default.clone(max_line_length=9) + policy.SMTP\n"
        "print(p.max_line_length, repr(p.linesep), policy.EmailPolicy(utf8=True).utf8)\n"
        "print(email.message_from_string('A: b', policy=p)['a'])",
        "9 '\\r\\n' True",
        "b",
    )


def test_modules_that_had_taken_the_librarys_copy_have_the_guarded_one(cell: Cell) -> None:
    """A message that is copied when it is written does not run a worker's ``__reduce_ex__``."""
    cell.prints(
        "import copy, email\n"
        "class Part:\n  def __reduce_ex__(self, protocol):\n    print('ESCAPED')\n    return str, ()\n"
        "head = b'Content-Type: text/plain; charset=latin-1\\nContent-Transfer-Encoding: 8bit\\n\\n'\n"
        "m = email.message_from_bytes(head + b'\\xfc')\nm.preamble = Part()\n"
        "print(m.as_string().splitlines()[-1], type(copy.deepcopy(m).preamble).__name__)",
        "=FC Part",
    )


def test_what_is_not_there_says_what_to_use_instead(cell: Cell) -> None:
    """Each module with a hint is missing, warns at upload and fails when its import runs."""
    assert not HINTS.keys() & FACADE_NAMES
    lines = [f"try: import {name}\nexcept ImportError as e: print(e)" for name in HINTS]
    outcome = cell.run("\n".join(lines))
    assert outcome.refusal == ""
    assert all(hint in line for hint, line in zip(HINTS.values(), outcome.log, strict=True))
    assert all(any(f'"{name}"' in w for w in outcome.warnings) for name in HINTS)
