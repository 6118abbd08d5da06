"""Fixtures of the sandbox's tests: isolates that run native code."""

from collections.abc import AsyncIterator

import pytest_asyncio
from sandbox_rig import MEMORY_BYTES, Native, start_zygote

from executor.zygotes import Zygote


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def zygote() -> AsyncIterator[Zygote]:
    """A zygote of native isolates, for one module's tests."""
    started = await start_zygote()
    yield started
    await started.close()


@pytest_asyncio.fixture(loop_scope="module")
async def cell(zygote: Zygote) -> AsyncIterator[Native]:
    """A fresh isolate that runs native code."""
    isolate = await zygote.fork(MEMORY_BYTES)
    yield Native(isolate)
    isolate.kill("end of the test")
    await isolate.closed.wait()
