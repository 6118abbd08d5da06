"""From a worker's sources to code objects, by plain ``compile()``.

Runs in an isolate only: the parser is C code that hostile source is aimed at, and nothing but the
isolate's limits bounds it here.
"""

import marshal
import warnings

from executor.isolate.frames import MAX_FRAME_BYTES
from executor.isolate.full.image import WORKER
from executor.isolate.policy.bounds import MAX_MODULES, MAX_TOTAL_BYTES
from executor.isolate.policy.compiler import CompileResult
from executor.isolate.policy.sources import ModuleFile, SourceRefused, issue, module_of

SLACK_BYTES = 512 * 1024
"""Of the one frame that all compiled modules travel in: names, and warnings."""


def compile_sources(sources: dict[str, bytes], main: str) -> CompileResult:
    """Compile every module of a worker. ``errors`` empty means that all of it can run."""
    result = CompileResult()
    if len(sources) > MAX_MODULES or sum(map(len, sources.values())) > MAX_TOTAL_BYTES:
        limit = f"{MAX_MODULES} modules or {MAX_TOTAL_BYTES // 1024**2} MiB of Python source"
        result.errors.append(issue(main, f"the worker has more than {limit}"))
        return result
    if main not in sources:
        result.errors.append(issue(main, "the main module is not among the uploaded modules"))
    for file, data in sources.items():
        if module := _module(file, main, result):
            _compile(module, data, result, place(file, main))
    if sum(map(len, result.modules.values())) > MAX_FRAME_BYTES - SLACK_BYTES:
        result.errors.append(issue(main, "the compiled modules are larger than 7.5 MiB"))
    if result.errors:
        result.modules.clear()
    return result


def place(file: str, main: str) -> str:
    """Where an uploaded file seems to be: the main module's directory is the worker's."""
    directory = main.removeprefix("./").rpartition("/")[0]
    return f"{WORKER}/{file.removeprefix('./').removeprefix(f'{directory}/' if directory else '')}"


def _module(file: str, main: str, out: CompileResult) -> ModuleFile | None:
    try:
        module = module_of(file, main)
    except SourceRefused as refused:
        out.errors.append(issue(file, str(refused)))
        return None
    if module is None:
        out.warnings.append(issue(file, "ignored: the platform provides this module"))
    elif module.name in out.modules:
        out.errors.append(issue(file, f'another file is the module "{module.name}", too'))
        return None
    return module


def _compile(module: ModuleFile, data: bytes, out: CompileResult, shown: str) -> None:
    """Compile one module into ``out``."""
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            code = compile(data, shown, "exec", dont_inherit=True, optimize=0)
    except SyntaxError as error:
        reason = f"{type(error).__name__}: {error.msg}"
        out.errors.append(issue(module.file, reason, error.lineno or 0, error.offset or 0))
    except (RecursionError, MemoryError, OverflowError, ValueError, SystemError) as error:
        reason = f"the file cannot be compiled ({type(error).__name__}: {error})"
        out.errors.append(issue(module.file, reason))
    else:
        out.warnings.extend(issue(module.file, str(w.message), w.lineno) for w in caught)
        packed = marshal.dumps((shown, module.is_package, marshal.dumps(code)))
        out.modules[module.name] = packed
