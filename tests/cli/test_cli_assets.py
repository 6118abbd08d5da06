"""A directory of assets as it is read: what is a file of the site, and what stays at home."""

import os
from pathlib import Path
from typing import Any

import pytest

from cloister.cli import project, site
from cloister.cli.project import ProjectInvalid


@pytest.fixture
def public(tmp_path: Path) -> Path:
    directory = tmp_path / "public"
    write(directory, {"index.html": "<h1>", "a/b.css": "p {}", ".well-known/x.txt": "x"})
    return directory


def write(directory: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)


def read(directory: Path, /, **said: Any) -> site.Site:
    return site.read(directory, said)


def paths(directory: Path) -> list[str]:
    return [each.path for each in read(directory).assets]


def test_files_and_their_types(public: Path) -> None:
    """Each file below it, by its address, with a type; equal bytes of other types are other
    files."""
    write(public, {"same.css": "p {}", "same.txt": "p {}"})
    found = {each.path: each for each in read(public).assets}
    assert set(found) == {
        *("/.well-known/x.txt", "/a/b.css", "/index.html", "/same.css", "/same.txt"),
    }
    assert found["/index.html"].content_type == "text/html; charset=utf-8"
    assert (found["/index.html"].size, found["/index.html"].read()) == (4, b"<h1>")
    assert found["/same.css"].hash == found["/a/b.css"].hash != found["/same.txt"].hash
    assert len(found["/same.css"].hash) == 32


def test_what_is_ignored(public: Path) -> None:
    """.assetsignore as .gitignore; what is no page of anybody's stays at home without being
    named."""
    write(
        public,
        {
            ".assetsignore": "*.map\n!keep.map\n/drafts/\n# comment\n",
            "x.map": "",
            "keep.map": "",
            "drafts/y": "",
            "a/drafts/z": "",
            ".git/config": "",
            ".env": "SECRET=1",
            ".env.local": "SECRET=1",
            ".dev.vars": "SECRET=1",
            "node_modules/m/index.js": "",
            "_headers": "/*\n  a: b",
            "_redirects": "/a /b",
        },
    )
    assert paths(public) == [
        "/.well-known/x.txt",
        "/a/b.css",
        "/a/drafts/z",
        "/index.html",
        "/keep.map",
    ]
    config = read(public, binding="FILES", not_found_handling="404-page", directory="x")
    assert config.binding == "FILES"
    assert config.config == {
        "not_found_handling": "404-page",
        "_headers": "/*\n  a: b",
        "_redirects": "/a /b",
    }


def test_links_are_not_followed(public: Path, tmp_path: Path) -> None:
    """A link to a file, to a directory or to rules would carry off what is elsewhere."""
    write(tmp_path, {"secret.txt": "secret", "home/key": "secret"})
    (public / "link.txt").symlink_to(tmp_path / "secret.txt")
    (public / "dir").symlink_to(tmp_path / "home")
    (public / "loop").symlink_to(public)
    (public / "_headers").symlink_to(tmp_path / "secret.txt")
    os.mkfifo(public / "pipe")
    found = read(public)
    assert [each.path for each in found.assets] == ["/.well-known/x.txt", "/a/b.css", "/index.html"]
    assert found.links == 3
    assert found.config == {}
    page = next(each for each in found.assets if each.path == "/index.html")
    page.file.unlink()
    page.file.symlink_to(tmp_path / "secret.txt")
    with pytest.raises(ProjectInvalid, match="cannot be read"):
        page.read()


@pytest.mark.parametrize("name", ["_worker.js", "_worker.py", "entry.py"])
def test_code_is_no_asset(public: Path, name: str) -> None:
    """The worker's own code is refused, not published; who means it can say so."""
    write(public, {name: "password = 1"})
    with pytest.raises(ProjectInvalid, match="own code"):
        read(public)
    write(public, {".assetsignore": f"/{name}\n"})
    assert f"/{name}" not in paths(public)


def test_limits(public: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many files, or one too large, are said before anything is sent."""
    with (public / "big.bin").open("wb") as file:
        file.truncate(site.FILE_BYTES + 1)
    with pytest.raises(ProjectInvalid, match="Asset too large"):
        read(public)
    (public / "big.bin").unlink()
    monkeypatch.setattr(site, "MAX_FILES", 3)
    assert len(paths(public)) == 3
    write(public, {"one-more": ""})
    with pytest.raises(ProjectInvalid, match="Maximum number of assets"):
        read(public)
    with pytest.raises(ProjectInvalid, match="does not exist"):
        read(public / "nowhere")


def test_projects(public: Path, tmp_path: Path) -> None:
    """A project says where its assets are, and then they are no modules; without code it is only
    assets, but one without either is none."""
    only = project.read(tmp_path, public)
    assert (only.main, only.modules, only.assets) == ("", [], public)
    with pytest.raises(ProjectInvalid, match="no entry file"):
        project.read(tmp_path)
    write(
        tmp_path,
        {"wrangler.toml": '[assets]\ndirectory = "public"\n', "entry.py": "", "notes.txt": ""},
    )
    both = project.read(tmp_path)
    assert both.main == "entry.py"
    assert both.assets == public
    assert [module.name for module in both.modules] == ["entry.py", "notes.txt"]
    with pytest.raises(ProjectInvalid, match="own code"):
        site.read(tmp_path, {}, (tmp_path / "entry.py").resolve())
    write(tmp_path, {"wrangler.toml": "assets = 5\n"})
    with pytest.raises(ProjectInvalid, match="must be a table"):
        project.read(tmp_path)
