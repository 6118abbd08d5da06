"""Whether this machine's kernel can hold tenants: the report, and the decision.

``python -m executor.doctor`` prints what is found and what is missing; it exits with 1 if tenants
would be refused.
"""

import logging
import sys

from cloister.errors import NotReady, SettingInvalid
from cloister.settings import Settings
from executor.sandbox.probe import Finding, probe

log = logging.getLogger(__name__)


def admit(settings: Settings) -> frozenset[str]:
    """Decide whether tenants may run here; return the facilities to do without.

    Raises:
        NotReady: a facility is missing that ``sandbox_accept`` does not name.
        SettingInvalid: ``sandbox_accept`` names what is no facility.
    """
    findings = probe(settings.sandbox_ids)
    _check_names(settings, findings)
    refused = refusals(settings, findings)
    if refused:
        names = ", ".join(finding.name for finding in refused)
        raise NotReady(
            f"This kernel does not offer: {names}. No tenant is served. `cloister doctor` says "
            f"what each bounds; CLOISTER_SANDBOX_ACCEPT names those you accept to do without."
        )
    missing = [finding for finding in findings if not finding.found]
    for finding in missing:
        if finding.required:
            log.warning("a weaker sandbox: no %s, unbounded: %s", finding.name, finding.bounds)
    return frozenset(finding.name for finding in missing)


def refusals(settings: Settings, findings: list[Finding]) -> list[Finding]:
    """What is required, missing, and not accepted to be missing."""
    accepted = settings.sandbox_accept
    return [one for one in findings if one.required and not one.found and one.name not in accepted]


def report(settings: Settings, findings: list[Finding]) -> str:
    """The findings as a table, and the verdict."""
    lines = [_line(settings, finding) for finding in findings]
    refused = refusals(settings, findings)
    verdict = "Tenants are refused." if refused else "Tenants can be served."
    return "\n".join([*lines, "", verdict])


def _line(settings: Settings, finding: Finding) -> str:
    if finding.found:
        state = "found"
    elif not finding.required:
        state = "not there, not needed"
    elif finding.name in settings.sandbox_accept:
        state = "MISSING, accepted"
    else:
        state = "MISSING"
    detail = f" ({finding.detail})" if finding.detail else ""
    return f"{finding.name:<13} {state:<22} {finding.bounds}{detail}"


def _check_names(settings: Settings, findings: list[Finding]) -> None:
    unknown = set(settings.sandbox_accept) - {finding.name for finding in findings}
    if unknown:
        raise SettingInvalid(f"CLOISTER_SANDBOX_ACCEPT: no facility {', '.join(sorted(unknown))}.")


def main() -> int:
    """Print the report. Returns the exit code."""
    settings = Settings.from_env()
    findings = probe(settings.sandbox_ids)
    _check_names(settings, findings)
    sys.stdout.write(report(settings, findings) + "\n")
    return 1 if refusals(settings, findings) else 0


if __name__ == "__main__":
    sys.exit(main())
