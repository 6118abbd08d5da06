import pprint, colorsys, keyword, fnmatch, graphlib, queue, platform, reprlib, ast, traceback, warnings, sys, os
print(pprint.pformat({"b": [1, 2], "a": (3,)}, width=10), colorsys.rgb_to_hsv(1, 0, 0), keyword.iskeyword("if"))
print(fnmatch.fnmatch("a.py", "*.py"), list(graphlib.TopologicalSorter({"b": {"a"}}).static_order()))
print(ast.literal_eval("{'a': [1, (2, None)]}"), reprlib.repr(list(range(100))), os.path.join("a", "b"), os.sep)
print(os.path.splitext("x.tar.gz"), os.path.basename("/a/b"), sys.version_info >= (3, 11), sys.maxsize > 2**32)
q = queue.Queue(); q.put(1); print(q.get(), q.empty())
try: 1 / 0
except ZeroDivisionError as e: print(traceback.format_exception_only(e), sys.exc_info()[0].__name__)
with warnings.catch_warnings(record=True) as w:
    warnings.simplefilter("always"); warnings.warn("careful", DeprecationWarning)
print(len(w), w[0].category.__name__)
