"""Modules that workers do not have, and what to use instead."""

NO_FILES = "a worker has only the files uploaded with it; use a binding such as KV"
NO_NET = "a worker has no sockets; use fetch() from workers"
NO_PROCESS = "a worker cannot start processes"
NO_THREADS = "a worker has one thread; use asyncio tasks"
NO_CODE = "code cannot be made at run time"
_NO_CONSOLE = "a worker has no console; its input is the request, print() writes to the log"
_NO_TESTS = "test a worker where you write it, outside of the worker"
_FETCH = "use fetch() from workers"
_FULL = "packages like it need a namespace whose language is full"
_RUNTIME = "it leads into the runtime"

HINTS: dict[str, str] = {
    **dict.fromkeys(
        ("aiohttp", "httpx", "requests", "urllib3", "urllib.request", "http.client", "socket",
         "ssl", "ftplib", "xmlrpc"),
        _FETCH,
    ),
    **dict.fromkeys(
        ("smtplib", "imaplib", "poplib", "select", "selectors", "socketserver", "http.server"),
        NO_NET,
    ),
    **dict.fromkeys(("subprocess", "multiprocessing", "signal", "pty"), NO_PROCESS),
    **dict.fromkeys(
        ("shutil", "glob", "fileinput", "mmap", "fcntl", "dbm", "shelve", "tarfile"), NO_FILES
    ),
    **dict.fromkeys(("_thread", "sched"), NO_THREADS),
    **dict.fromkeys(("code", "codeop", "symtable", "tokenize", "py_compile", "runpy"), NO_CODE),
    **dict.fromkeys(("cmd", "curses", "getpass", "readline", "termios", "tkinter"), _NO_CONSOLE),
    **dict.fromkeys(("doctest", "pytest"), _NO_TESTS),
    **dict.fromkeys(("django", "fastapi", "flask", "numpy", "pandas", "pydantic", "yaml"), _FULL),
    **dict.fromkeys(
        ("cProfile", "dis", "linecache", "marshal", "pdb", "profile", "resource", "trace",
         "tracemalloc"),
        _RUNTIME,
    ),
    "atexit": "an isolate ends without notice",
    "builtins": "the builtins are there without it",
    "copyreg": "use json",
    "ctypes": "native code cannot be called",
    "gettext": "text is as it is in the source",
    "importlib.metadata": "a worker's packages are modules among its files",
    "importlib.resources": "pathlib.Path(__file__).parent has the files beside a module",
    "js": "use the workers package; there is no JavaScript here",
    "locale": "the locale belongs to the process; use str.format()",
    "optparse": "use argparse",
    "pickle": "use json",
    "pkgutil": "pathlib.Path(__file__).parent has the files beside a module",
    "pyodide": "use the workers package; there is no JavaScript here",
    "sqlite3": "the text of a query drives too large an engine in C; use a binding such as KV",
    "tempfile": "use io.BytesIO or io.StringIO",
    "xml.dom": "use xml.etree.ElementTree",
    "zipfile": "use zlib or gzip",
}  # fmt: skip
"""The reason or the way out, by module; that of a package counts for what is in it."""
