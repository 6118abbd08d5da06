"""Blob, File, FormData, and forms as bodies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.isolate.workers.forms import Blob, BlobEnding, File, FormData
from executor.isolate.workers.multipart import MAX_FIELDS, encode_form, parse_form


async def test_blob():
    """A Blob joins its parts, slices, and reads as text or bytes."""
    blob = Blob(["a", b"b", bytearray(b"c"), Blob("d")], "text/x", BlobEnding.TRANSPARENT)
    assert (blob.size, blob.content_type) == (4, "text/x")
    assert await blob.text() == "abcd"
    assert await blob.slice(1, -1, "y/z").bytes() == b"bc"
    assert Blob("x").content_type == ""
    for junk in (5, [5], None):
        with pytest.raises(TypeError):
            Blob(junk)


async def test_file():
    """A File has a name and a time in milliseconds."""
    file = File("x", "a.txt", "text/plain", last_modified=5)
    assert (file.name, file.last_modified, await file.text()) == ("a.txt", 5, "x")
    assert File("x", "a").last_modified > 1_600_000_000_000


def test_form_data_is_a_mapping():
    """First value by key, assignment replaces, append repeats, views show repeats."""
    form = FormData({"a": "1"})
    form.append("a", "2")
    form["b"] = "3"
    assert (form["a"], form.get_all("a"), len(form)) == ("1", ["1", "2"], 3)
    assert list(form.keys()) == ["a", "a", "b"]
    assert list(form.items()) == [("a", "1"), ("a", "2"), ("b", "3")]
    assert "a" in form
    form["a"] = "4"
    assert list(form.values()) == ["4", "3"]
    del form["b"]
    form.delete("missing")
    with pytest.raises(KeyError):
        del form["b"]
    with pytest.raises(KeyError):
        form["b"]
    assert form.get("b") is None


@pytest.mark.parametrize("value", [["a"], 5, None, b"x"])
def test_form_data_values(value):
    """Values are str, Blob or File."""
    with pytest.raises(TypeError):
        FormData({"a": value})
    with pytest.raises(TypeError):
        FormData([("a", "b")])


async def test_form_data_blobs_become_files():
    """A Blob in a form gets a file name."""
    form = FormData()
    form.append("a", Blob("x", "t/y"), filename="x.bin")
    form["b"] = Blob("y")
    first, second = form["a"], form["b"]
    assert isinstance(first, File)
    assert isinstance(second, File)
    assert (first.name, first.content_type, second.name) == ("x.bin", "t/y", "blob")


def test_urlencoded():
    """A urlencoded body parses, blanks and repeats kept."""
    form = parse_form(b"a=1&b=&a=%C3%A9+x", "application/x-www-form-urlencoded; charset=utf-8")
    assert list(form.items()) == [("a", "1"), ("b", ""), ("a", "\u00e9 x")]


async def test_multipart_from_a_browser():
    """A multipart body as curl and browsers send it parses."""
    body = (
        b"preamble\r\n--XX\r\n"
        b'Content-Disposition: form-data; name="text"\r\n\r\n'
        b"one\r\ntwo\r\n--XX\r\n"
        b'content-disposition: form-data; name="f"; filename="a %22b%22.txt"\r\n'
        b"Content-Type: text/plain\r\n\r\n"
        b"\0--XX\xff\r\n--XX--\r\nepilogue"
    )
    form = parse_form(body, 'multipart/form-data; boundary="XX"')
    assert form["text"] == "one\r\ntwo"
    file = form["f"]
    assert isinstance(file, File)
    assert (file.name, file.content_type) == ('a "b".txt', "text/plain")
    assert await file.bytes() == b"\0--XX\xff"


@given(st.lists(st.tuples(st.text(), st.one_of(st.text(), st.binary())), max_size=6))
def test_multipart_round_trip(fields):
    """What a form encodes to, parses back."""
    form = FormData()
    for name, value in fields:
        form.append(name, value if isinstance(value, str) else File(value, "f\u00e9.bin"))
    parsed = parse_form(*encode_form(form))
    assert len(parsed) == len(form)
    for (name, value), (seen_name, seen) in zip(form.items(), parsed.items(), strict=True):
        clean = name.encode("utf-8", "replace").decode()
        assert seen_name == clean or set(clean) & set("%")
        if isinstance(value, str):
            assert seen == value.encode("utf-8", "replace").decode()
        else:
            assert isinstance(seen, File)
            assert (seen._data, seen.name) == (value._data, "f\u00e9.bin")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "multipart/form-data; boundary=x"),
        (b"--x\r\n", "multipart/form-data; boundary=x"),
        (b"--x\r\nnothing\r\n--x--", "multipart/form-data; boundary=x"),
        (b"--x\r\nA: b\r\n\r\nv\r\n--x--", "multipart/form-data; boundary=x"),
        (b"--x\r\n" + b"a" * 9000 + b"\r\n\r\nv\r\n--x--", "multipart/form-data; boundary=x"),
        (b"", "multipart/form-data"),
        (b"{}", "application/json"),
        (b"", ""),
    ],
)
def test_broken_forms(body, kind):
    """What is no form is a TypeError."""
    with pytest.raises(TypeError):
        parse_form(body, kind)


def test_forms_are_bounded():
    """More fields than anybody needs are a ValueError."""
    with pytest.raises(ValueError, match="fields"):
        parse_form(b"a=1&" * (MAX_FIELDS + 1), "application/x-www-form-urlencoded")
    part = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'
    with pytest.raises(ValueError, match="fields"):
        parse_form(part * (MAX_FIELDS + 1) + b"--x--", "multipart/form-data; boundary=x")
