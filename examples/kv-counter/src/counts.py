async def increment(store, key):
    """Add one to the number at ``key`` and return it. Two at the same moment may count as one."""
    count = int(await store.get(key) or 0) + 1
    await store.put(key, str(count))
    return count
