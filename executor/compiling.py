"""From source to code that an isolate can load: compiled once, in an isolate, kept by digest.

A job compiles, then runs the top-level code in the same fresh isolate, each within its own limit,
and the isolate is thrown away. The compiled blob's key carries the Python and policy versions; if
there is none for ours, the source is compiled again when a worker is first needed.
"""

import asyncio
import logging
import sys
import time
from collections import OrderedDict

import msgspec

from cloister.blobs import Blobs
from cloister.bundles import decode_sources
from cloister.errors import CloisterError, NotFound
from cloister.languages import FULL, RESTRICTED, Language
from cloister.messages import CompileAnswer, CompileJob, Source
from cloister.outcomes import Outcome
from cloister.secrets import Cipher
from cloister.settings import MIB, Settings
from cloister.trial import unseal
from executor.build import Code, Uncompilable, build, compile_sources
from executor.isolate.full import FULL_VERSION
from executor.isolate.policy import POLICY_VERSION
from executor.isolates import IsolateDied
from executor.pools import Pools

log = logging.getLogger(__name__)

AT_ONCE = 4
"""Compile jobs at once: each is CPU time only, and its clock on the wall is ticking."""

KEPT = 64
KEPT_BYTES = MIB
"""Compiled workers kept in memory, and the largest that is: cold starts come in bursts."""

REFUSED_KEPT = 256
"""Refusals remembered of deployed code that this language does not take any more."""

TAGS: dict[Language, str] = {
    RESTRICTED: f"{sys.implementation.cache_tag}-{POLICY_VERSION}",
    FULL: f"{sys.implementation.cache_tag}-{FULL_VERSION}",
}
"""What the key of compiled code ends in: it is of use to one language, Python and revision."""


class Compiler:
    """Compiles in isolates of the language's pool."""

    def __init__(self, settings: Settings, blobs: Blobs, pools: Pools, cipher: Cipher) -> None:
        self._cipher = cipher
        self._settings = settings
        self._blobs = blobs
        self._pools = pools
        self._kept: OrderedDict[str, Code] = OrderedDict()
        self._refused: OrderedDict[str, Uncompilable] = OrderedDict()
        self._decoder = msgspec.msgpack.Decoder(Code)
        self._again = asyncio.Lock()
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def answer(self, job: CompileJob) -> CompileAnswer:
        """Do a job. What goes wrong is in the answer."""
        try:
            async with self._turns:
                return await self._do(job)
        except Uncompilable as exc:
            return exc.answer(job.id)
        except (CloisterError, IsolateDied):
            log.exception("compile job %s failed", job.id)
            return CompileAnswer(id=job.id, failure=Outcome.INTERNAL)

    async def code(self, digest: str, main: str, language: Language) -> Code:
        """The compiled code of a deployed version.

        Raises:
            NotFound: its source is gone.
            Uncompilable: this release's policy refuses what an earlier one took, or the namespace's
                language what its former one took.
            NotReady: object store or pool do not answer.
        """
        key = _key(digest, language)
        code = self._kept.get(key) or await self._stored(key)
        if code is None or not code.fits(main, language):
            async with self._again:
                code = await self._stored(key)
                if code is None or not code.fits(main, language):
                    code = await self._compile_again(digest, main, language)
        self._keep(key, code)
        return code

    async def _stored(self, key: str) -> Code | None:
        data = await self._blobs.aget(key)
        return None if data is None else self._decoder.decode(data)

    def _keep(self, key: str, code: Code) -> None:
        if sum(map(len, (*code.modules.values(), *code.data.values()))) <= KEPT_BYTES:
            self._kept[key] = code
            self._kept.move_to_end(key)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)

    async def _compile_again(self, digest: str, main: str, language: Language) -> Code:
        key = _key(digest, language)
        if (refused := self._refused.get(f"{key} {main}")) is not None:
            raise Uncompilable(refused.errors, refused.warnings)
        sources = await self._sources(digest)
        pool = await self._pools.of(language)
        isolate = await pool.blank()
        try:
            code, _warnings = await compile_sources(isolate, self._settings, sources, main)
        except Uncompilable as error:
            self._refuse(f"{key} {main}", error)
            raise
        finally:
            pool.release(isolate, reuse=False)
        await self._blobs.aput(key, msgspec.msgpack.encode(code))
        return code

    def _refuse(self, name: str, refused: Uncompilable) -> None:
        """Every request would else have it compiled again. What a limit ended may do better."""
        if refused.failure is None:
            self._refused[name] = refused
            if len(self._refused) > REFUSED_KEPT:
                self._refused.popitem(last=False)

    async def _do(self, job: CompileJob) -> CompileAnswer:
        if job.deadline <= time.time():
            return CompileAnswer(id=job.id, failure=Outcome.EXPIRED)
        sources = await self._sources(job.digest)
        environment = unseal(self._cipher, job.id, job.environment)
        pool = await self._pools.of(job.language)
        isolate = await pool.blank()
        try:
            code, answer = await build(
                isolate, self._settings, sources, job.main_module, environment
            )
        finally:
            pool.release(isolate, reuse=False)
        key = _key(job.digest, job.language)
        await self._blobs.aput(key, msgspec.msgpack.encode(code))
        return msgspec.structs.replace(answer, id=job.id)

    async def _sources(self, digest: str) -> list[Source]:
        source = await self._blobs.aget(f"source/{digest}")
        if source is None:
            raise NotFound("The source of this version is gone.")
        return decode_sources(source)


def _key(digest: str, language: Language) -> str:
    return f"compiled/{digest}-{TAGS[language]}"
