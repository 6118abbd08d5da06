"""Do with sources what an upload does, and keep nothing: ``python -m executor.check``.

Reads a msgpack list of :class:`cloister.messages.CheckJob` from standard input, and writes one
:class:`cloister.messages.CompileAnswer` for each. Sources are parsed and run in isolates only.
Exits with 1, and a line that says why, if this machine cannot hold tenants.
"""

import asyncio
import dataclasses
import sys

import msgspec

from cloister.errors import CloisterError
from cloister.messages import CheckJob, CompileAnswer
from cloister.outcomes import Outcome
from cloister.settings import Settings
from cloister.trial import Environment
from executor.build import Uncompilable, build
from executor.isolates import IsolateDied
from executor.pools import Pools


async def check(settings: Settings, jobs: list[CheckJob]) -> list[CompileAnswer]:
    """One answer for each job, each from an isolate of its own.

    Raises:
        NotReady: the sandbox cannot be built here.
        SettingInvalid: a package that workers may import is not installed.
    """
    pools = Pools(dataclasses.replace(settings, blank_isolates=0))
    try:
        await pools.start()
        return [await _one(pools, settings, job) for job in jobs]
    finally:
        await pools.close()


async def _one(pools: Pools, settings: Settings, job: CheckJob) -> CompileAnswer:
    pool = await pools.of(job.language)
    isolate = await pool.blank()
    environment = Environment(env=job.env, live=job.live)
    try:
        _, answer = await build(isolate, settings, job.sources, job.main_module, environment)
    except Uncompilable as refused:
        return refused.answer("")
    except IsolateDied:
        return CompileAnswer(id="", failure=Outcome.INTERNAL)
    else:
        return answer
    finally:
        pool.release(isolate, reuse=False)


def main() -> int:
    """Answer what standard input asks. Returns the exit code."""
    jobs = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=list[CheckJob])
    try:
        answers = asyncio.run(check(Settings.from_env(), jobs))
    except CloisterError as exc:
        sys.stderr.write(f"cloister: {exc}\n")
        return 1
    except KeyboardInterrupt:
        return 1  # whoever asked was interrupted too
    sys.stdout.buffer.write(msgspec.msgpack.encode(answers))
    return 0


if __name__ == "__main__":
    sys.exit(main())
