"""The process of an object's storage, seen from the executor that runs the object."""

import sys
from collections.abc import Collection
from pathlib import Path

from executor.databases.frames import encode_ask
from executor.databases.process import Process
from executor.objects.frames import Keep

COMMAND = (sys.executable, "-I", "-m", "executor.objects.cell.main")


class StorageProcess(Process):
    """Ends by itself with the lease that it was started under, unless it is kept."""

    @classmethod
    async def open(
        cls,
        directory: Path,
        without: Collection[str],
        ids: tuple[int, int],
        *,
        fence: int,
        until_s: float,
        uses_sqlite: bool,
    ) -> "StorageProcess":
        """Start it in the object's directory, for an owner of that number until that time.

        Raises:
            NotReady: it could not open the file: another owner has it, or had it later.
        """
        options = ("--fence", fence, "--until", until_s, "--sqlite", int(uses_sqlite))
        command = (*COMMAND, *map(str, options))
        return await cls.start(directory, without, ids, command)

    def keep(self, until_s: float) -> None:
        """The lease goes on to that time."""
        if not self.ended.is_set():
            self._writer.write(encode_ask(Keep(until_s=until_s)))
