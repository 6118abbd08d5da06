"""One executor's pools for all tests of a module; what a test borrows ends with it."""

from collections.abc import AsyncIterator

import pytest_asyncio
from full_rig import Rig, open_pools

from executor.pools import Pools


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def pools(request) -> AsyncIterator[Pools]:
    """Pools whose operator allows the packages that the module names in PACKAGES."""
    async with open_pools(packages=request.module.PACKAGES) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def rig(pools: Pools) -> AsyncIterator[Rig]:
    """Full isolates to run code in."""
    made = Rig(pools)
    yield made
    await made.end()
