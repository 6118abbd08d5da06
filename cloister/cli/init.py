"""`cloister init`."""

from importlib.resources import files
from pathlib import Path

import click

from cloister.errors import CloisterError


@click.command("init")
@click.argument("directory", default=".", type=click.Path(path_type=Path, file_okay=False))
def command(directory: Path) -> None:
    """Start a worker project in DIRECTORY: wrangler.toml and src/entry.py."""
    name = directory.resolve().name.lower().replace("_", "-").replace(" ", "-").strip("-.")
    templates = files("cloister.templates")
    written = {
        directory / "wrangler.toml": templates.joinpath("wrangler.toml.in"),
        directory / "src" / "entry.py": templates.joinpath("entry.py.in"),
    }
    for path in written:
        if path.exists():
            raise CloisterError(f"{path} exists already; nothing was written.")
    for path, template in written.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(template.read_text().replace("{name}", name or "worker"))
        click.echo(f"wrote {path}")
    click.echo(f"Deploy it: cloister deploy {directory}")
