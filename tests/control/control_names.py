"""Names as the tests' DNS has them: for the proof of hostnames."""

from dataclasses import dataclass, field

from control.names import LookupFailed


@dataclass
class FakeNames:
    """Records by name; a name in ``silent`` does not answer."""

    txts: dict[str, list[str]] = field(default_factory=dict)
    hosts: dict[str, list[str]] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)

    def txt(self, name: str) -> list[str]:
        return self._of(self.txts, name)

    def addresses(self, host: str) -> list[str]:
        return self._of(self.hosts, host)

    def _of(self, records: dict[str, list[str]], name: str) -> list[str]:
        if name in self.silent:
            raise LookupFailed(f"The DNS did not answer for {name}.")
        return records.get(name, [])
