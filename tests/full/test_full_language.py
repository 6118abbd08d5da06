"""What runs unchanged in the full language: ordinary imports, files, threads that are none."""

import pytest
from full_rig import Rig

PACKAGES = ("flask", "anyio")

pytestmark = pytest.mark.asyncio(loop_scope="module")

PACKAGE = {
    "shop/__init__": "from .models import Item\nfrom . import prices as _p\n__version__ = '3'\n",
    "shop/models": "from . import prices\nclass Item:\n    price = prices.BASE * 2\n",
    "shop/prices": "BASE = 21\n",
    "shop/plugins/first": "NAME = 'first'\n",
    "shop/plugins/second": "NAME = 'second'\n",
    "python_modules/vendored/__init__": "from .deep.er import VALUE\n",
    "python_modules/vendored/deep/__init__": "",
    "python_modules/vendored/deep/er": "from .. import deep\nVALUE = deep.__name__\n",
}


async def test_packages_with_relative_imports(rig: Rig) -> None:
    """Of several levels, circular ones, namespace packages, vendored ones; by statement, by
    importlib, lazily, and again."""
    top = """
    import importlib, pkgutil, sys
    import jinja2, shop, shop.plugins, vendored
    """
    body = """
    names = [importlib.import_module(found.name).NAME
             for found in pkgutil.iter_modules(shop.plugins.__path__, "shop.plugins.")]
    walked = [found.name for found in pkgutil.walk_packages(shop.__path__, "shop.")]
    assert walked == ["shop.models", "shop.plugins", *(f"shop.plugins.{n}" for n in names),
                      "shop.prices"], walked
    assert "sandbox" in [found.name for found in pkgutil.iter_modules(jinja2.__path__)]
    again = importlib.reload(shop.prices).BASE
    relative = importlib.import_module(".prices", "shop") is shop.prices
    return [shop.Item.price, shop.__version__, vendored.VALUE, names, again, relative,
            sys.modules[__name__].answer is answer, shop.models.__file__, __file__]
    """
    assert await rig.value(body, top, modules=PACKAGE) == [
        *(42, "3", "vendored.deep", ["first", "second"], 21, True, True),
        *("/worker/shop/models.py", "/worker/main.py"),
    ]


async def test_the_library_is_imported_late_and_from_memory(rig: Rig) -> None:
    """Modules that nobody has loaded yet come from memory, packages' submodules too."""
    body = """
    import sys
    late = ["colorsys", "wave", "mailbox", "json.tool", "flask.testing", "jinja2.sandbox"]
    before = [name for name in late if name in sys.modules]
    import colorsys, wave, mailbox, json.tool, flask.testing, jinja2.sandbox
    import importlib.util
    return [before, colorsys.__file__, jinja2.sandbox.__file__,
            importlib.util.find_spec("flask.json").name, importlib.util.find_spec("nowhere")]
    """
    assert await rig.value(body) == [
        [],
        "/python/lib/colorsys.py",
        "/python/packages/jinja2/sandbox.py",
        "flask.json",
        None,
    ]


async def test_every_module_of_the_library_that_is_offered_loads(rig: Rig) -> None:
    """Whatever the finder has can be executed in the cell, or says why not as an ImportError."""
    body = """
    import importlib, sys
    finder = sys.meta_path[-1]
    names = sorted(n for n, m in finder._image.modules.items() if m.file.startswith("/python/lib"))
    failed = {}
    for name in names:
        if "__main__" in name:
            continue
        try:
            importlib.import_module(name)
        except ImportError:
            pass
        except Exception as error:
            failed[name] = repr(error)
    return [len(names) > 400, failed]
    """
    worker = await rig.worker(body)
    answer = await worker.get()
    assert answer.value == [True, {}]


async def test_files_of_the_worker_and_of_packages(rig: Rig) -> None:
    """open(), pathlib, os and importlib.resources read them; importlib.metadata knows versions."""
    body = """
    import glob, importlib.metadata, importlib.resources, os, pathlib, pkgutil
    here = pathlib.Path(__file__).parent
    with open("data/words.txt") as file:
        words = file.read().split()
    with open(here / "data" / "words.txt", "rb") as file:
        size = len(file.read())
    import assets
    return [
        words, size, os.path.exists("data"), os.path.isdir("data"), os.path.exists("nothing"),
        sorted(os.listdir("/worker/data")), [e.name for e in os.scandir("data") if e.is_file()],
        sorted(p.name for p in here.iterdir()), glob.glob("data/*.txt"),
        [sorted(files) for _, _, files in os.walk("data")],
        importlib.resources.files("assets").joinpath("logo.txt").read_text(),
        pkgutil.get_data("assets", "logo.txt").decode(),
        importlib.metadata.version("flask") == importlib.metadata.metadata("flask")["Version"],
        os.getcwd(), os.stat("data/words.txt").st_size,
    ]
    """
    data = {"data/words.txt": b"two words\n", "assets/logo.txt": b"logo"}
    assert await rig.value(body, data=data, modules={"assets/__init__": ""}) == [
        *(["two", "words"], 10, True, True, False),
        *(["words.txt"], ["words.txt"], ["assets", "data"], ["data/words.txt"], [["words.txt"]]),
        *("logo", "logo", True, "/worker", 10),
    ]


async def test_a_large_form_stays_in_memory(rig: Rig) -> None:
    """What a framework would put into a temporary file."""
    body = """
    import tempfile
    with tempfile.SpooledTemporaryFile(max_size=10) as file:
        file.write(b"x" * 100_000)
        file.seek(0)
        return len(file.read())
    """
    assert await rig.value(body) == 100_000


async def test_what_asks_for_a_thread_runs_inline(rig: Rig) -> None:
    """asyncio, concurrent.futures and anyio: results, errors, context; Thread.start() says no."""
    body = """
    import anyio.to_thread, asyncio, contextvars, threading
    from concurrent.futures import ThreadPoolExecutor
    var = contextvars.ContextVar("var")
    var.set("kept")
    loop = asyncio.get_running_loop()
    found = [await asyncio.to_thread(var.get), await loop.run_in_executor(None, sum, [1, 2]),
             await anyio.to_thread.run_sync(pow, 2, 5)]
    with ThreadPoolExecutor(4) as pool:
        found += [list(pool.map(len, ["a", "bb"])), pool.submit(int, "7").result()]
        found.append(type(pool.submit(int, "x").exception()).__name__)
    try:
        await asyncio.to_thread(int, "x")
    except ValueError:
        found.append("ValueError")
    try:
        threading.Thread(target=print).start()
    except RuntimeError as error:
        found.append(str(error))
    return found
    """
    assert await rig.value(body) == [
        *("kept", 3, 32, [1, 2], 7, "ValueError", "ValueError", "can't start new thread"),
    ]


async def test_lines_of_the_log(rig: Rig) -> None:
    """print, stderr, logging (configured or not), warnings, and a traceback of own frames."""
    body = """
    import logging, sys, warnings
    print("a", 1, end="")
    print("b", flush=True)
    print("bad", file=sys.stderr)
    logging.getLogger("x").warning("careful %d", 7)
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    logging.getLogger("y").info("told")
    warnings.warn("old")
    helper.fail()
    """
    modules = {"helper": "def fail():\n    raise KeyError('as planned')\n"}
    answer = await (await rig.worker(body, "import helper", modules=modules)).get()
    assert answer.log == [
        *(("log", "a 1b"), ("error", "bad"), ("warn", "careful 7"), ("info", "y: told")),
        ("warn", "UserWarning: old"),
    ]
    failed = answer.failed
    assert failed is not None
    assert (failed.name, failed.message) == ("KeyError", "'as planned'")
    places = [line.strip() for line in failed.stack.splitlines() if "File" in line]
    assert [place.partition(", line")[0] for place in places] == [
        *('File "main.py"', 'File "main.py"', 'File "helper.py"'),
    ]
    assert places[-1] == 'File "helper.py", line 2, in fail'


async def test_errors_at_upload_name_file_and_line(rig: Rig) -> None:
    """Syntax errors of every file at once; a name that the platform has is refused."""
    compiled = await rig.compile({"main.py": "x = (\n", "b.py": "def f(:\n", "json.py": ""})
    assert not compiled.modules
    assert {(each.module, each.line) for each in compiled.errors} == {
        *(("main.py", 1), ("b.py", 1), ("json.py", 0)),
    }


async def test_a_module_of_the_worker_comes_before_an_installed_one(rig: Rig) -> None:
    """Vendored code is used even where the operator has a package of that name."""
    modules = {"python_modules/jinja2/__init__": "OWN = True\n"}
    assert await rig.value("return jinja2.OWN", "import jinja2", modules=modules) is True


async def test_environment_and_bindings(rig: Rig) -> None:
    """os.environ holds the worker's own text variables and secrets; env all of its bindings."""
    body = """
    import os
    from workers import env
    return [os.environ["NAME"], os.getenv("NONE"), env.NAME, env.CONFIG.deep,
            sorted(set(os.environ) - {"TZ", "HOME"})]
    """
    env = {"NAME": "shop", "CONFIG": {"deep": 1}}
    assert await rig.value(body, env=env) == ["shop", None, "shop", 1, ["NAME"]]
