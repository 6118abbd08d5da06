import errno
import gc
import os
import os.path
import platform
import sys
import timeit
from pathlib import Path, PurePath

print(sys.version_info >= (3, 11), sys.version_info.major, sys.maxsize == 2**63 - 1, sys.byteorder, sys.platform)
print(os.path.join("a", "b.txt"), os.path.splitext("x.tar.gz"), os.path.basename("/a/b"), os.sep, os.linesep == "\n")
print(os.environ.get("NO_SUCH_VARIABLE", "default"), os.getenv("NO_SUCH_VARIABLE"), os.curdir, os.pathsep)
print(PurePath("a/b") / "c.py", Path("/x/y.tar.gz").suffixes, Path("a/../b").name, Path("x.txt").with_suffix(".md"))
print(Path("/no/such/file").exists(), os.path.exists("/no/such/file"), Path("a") / "b" == Path("a/b"), Path("a/b").parent)
try:
    open("no-such-file.txt")
except FileNotFoundError as error:
    print(type(error).__name__, error.errno == errno.ENOENT, error.filename)
try:
    Path("no-such-file.txt").read_text()
except OSError as error:
    print(type(error).__name__)
print(gc.isenabled(), gc.collect() >= 0, timeit.default_timer() > 0, platform.python_implementation())
print(sys.getdefaultencoding(), sys.getsizeof([]) > 0, sys.intern("a"), sys.float_info.max > 1e300, len(sys.argv) > 0)
print(os.fspath(Path("a")), repr(Path("a")), os.path.relpath("/a/b", "/a"), sys.exc_info())
print(errno.errorcode[errno.ENOENT], os.strerror(2))
