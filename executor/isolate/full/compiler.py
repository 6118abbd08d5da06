"""From a worker's sources to code objects, by plain ``compile()``.

Runs in an isolate only: the parser is C code that hostile source is aimed at, and nothing but the
isolate's limits bounds it here.
"""

import marshal
import warnings

from executor.isolate.full.image import WORKER
from executor.isolate.policy.bounds import excess
from executor.isolate.policy.compiler import CompileResult, module_files, syntax_issue
from executor.isolate.policy.sources import ModuleFile, issue


def compile_sources(sources: dict[str, bytes], main: str) -> CompileResult:
    """Compile every module of a worker. ``errors`` empty means that all of it can run."""
    result = CompileResult()
    if reason := excess(sources):
        result.errors.append(issue(main, reason))
        return result
    if main not in sources:
        result.errors.append(issue(main, "the main module is not among the uploaded modules"))
    for module in module_files(sources, main, result):
        _compile(module, sources[module.file], result, place(module.file, main))
    result.finish(main)
    return result


def place(file: str, main: str) -> str:
    """Where an uploaded file seems to be: the main module's directory is the worker's."""
    directory = main.removeprefix("./").rpartition("/")[0]
    return f"{WORKER}/{file.removeprefix('./').removeprefix(f'{directory}/' if directory else '')}"


def _compile(module: ModuleFile, data: bytes, out: CompileResult, shown: str) -> None:
    """Compile one module into ``out``."""
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            code = compile(data, shown, "exec", dont_inherit=True, optimize=0)
    except SyntaxError as error:
        out.errors.append(syntax_issue(module.file, error))
    except (RecursionError, MemoryError, OverflowError, ValueError, SystemError) as error:
        reason = f"the file cannot be compiled ({type(error).__name__}: {error})"
        out.errors.append(issue(module.file, reason))
    else:
        out.warnings.extend(issue(module.file, str(w.message), w.lineno) for w in caught)
        packed = marshal.dumps((shown, module.is_package, marshal.dumps(code)))
        out.modules[module.name] = packed
