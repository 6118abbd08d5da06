"""`cloister check`."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import msgspec

from cloister import uploads
from cloister.cli import complaints, project, tables
from cloister.cli.deploy import pairs
from cloister.cli.exits import EXIT_FAILED, EXIT_UNHEALTHY
from cloister.cli.project import Project
from cloister.languages import LANGUAGES, RESTRICTED, Language
from cloister.messages import CheckJob, CompileAnswer, Complaint, Source
from cloister.outcomes import ANSWERS


@dataclass(frozen=True, kw_only=True)
class Report:
    """What an upload of one worker would say."""

    worker: Project
    errors: list[Complaint]
    warnings: list[Complaint]
    handlers: dict[str, list[str]]
    startup_ms: int


@click.command("check")
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(path_type=Path))
@click.option(
    "--var",
    "variables",
    multiple=True,
    callback=pairs,
    help="Variable or secret NAME=VALUE, for top-level code that reads it.",
)
@click.option(
    "--language",
    type=click.Choice(LANGUAGES),
    default=RESTRICTED,
    show_default=True,
    help="The namespace's language.",
)
@tables.as_json
def command(
    paths: tuple[Path, ...], variables: dict[str, str], language: Language, machine: bool
) -> None:
    """Say what a deploy of each PATH would say, with nothing running.

    PATH is a .py file or a project directory, as for `cloister deploy`; without one, it is this
    directory. The code is compiled, and its top level run, in the same sandbox as at an upload;
    nothing is kept. Exits with 1 if a worker would be refused.
    """
    found = [project.read(path) for path in paths or (Path(),)]
    workers = [worker for worker in found if worker.main]  # assets alone have nothing to compile
    jobs = [_job(worker, variables, language) for worker in workers]
    reports = [
        _report(worker, answer) for worker, answer in zip(workers, _asked(jobs), strict=True)
    ]
    if machine:
        click.echo(json.dumps(_as_json(reports), indent=2))
    else:
        for report in reports:
            _show(report)
    if any(report.errors for report in reports):
        sys.exit(EXIT_FAILED)


def _asked(jobs: list[CheckJob]) -> list[CompileAnswer]:
    """What the compiler says of each; the upload's own rules are left to :func:`_report`."""
    # A process of its own, as the sandbox changes the one that builds it. -I, or else a file of the
    # worker's that is named like a module of the library would be imported.
    run = subprocess.run(
        [sys.executable, "-I", "-m", "executor.check"],
        input=msgspec.msgpack.encode(jobs),
        stdout=subprocess.PIPE,
        check=False,
    )
    if run.returncode:
        sys.exit(EXIT_UNHEALTHY)
    return msgspec.msgpack.decode(run.stdout, type=list[CompileAnswer])


def _job(worker: Project, variables: dict[str, str], language: Language) -> CheckJob:
    config = worker.config
    live = {item["binding"]: "kv_namespace" for item in config.get("kv_namespaces", [])}
    live |= {item["binding"]: "service" for item in config.get("services", [])}
    if binding := config.get("assets", {}).get("binding"):
        live[binding] = "assets"
    return CheckJob(
        main_module=worker.main,
        sources=[
            Source(name=each.name, content_type=each.content_type, data=each.data)
            for each in worker.modules
            if not uploads.refusal(each.content_type)
        ],
        env={**config.get("vars", {}), **variables},
        live=live,
        language=language,
    )


def _report(worker: Project, answer: CompileAnswer) -> Report:
    errors = [
        Complaint(module=module.name, message=f"{reason} ({module.content_type})")
        for module in worker.modules
        if (reason := uploads.refusal(module.content_type))
    ]
    if sum(len(module.data) for module in worker.modules) > uploads.SCRIPT_BYTES:
        errors.append(Complaint(message="the modules are larger than 64 MiB together"))
    errors += answer.errors
    handlers = {
        **({"Default": answer.handlers} if answer.handlers else {}),
        **answer.named_handlers,
    }
    if answer.failure is not None and not answer.errors:
        errors.append(Complaint(message=ANSWERS[answer.failure].title))
    elif not answer.errors and not handlers:
        errors.append(Complaint(module=worker.main, message=uploads.NO_HANDLERS))
    return Report(
        worker=worker,
        errors=errors,
        warnings=answer.warnings,
        handlers=handlers,
        startup_ms=answer.startup_ms,
    )


def _show(report: Report) -> None:
    sources = {module.name: module.data for module in report.worker.modules}
    for kind, found in (("error", report.errors), ("warning", report.warnings)):
        for each in found:
            place = str(report.worker.source / each.module if each.module else report.worker.root)
            click.echo(complaints.text(kind, place, each, sources.get(each.module, b"")))
    click.echo(f"{report.worker.root}: {_verdict(report)}")


def _verdict(report: Report) -> str:
    warned = f", {_count(report.warnings, 'warning')}" if report.warnings else ""
    if report.errors:
        return f"would be refused: {_count(report.errors, 'error')}{warned}"
    return f"would be accepted{warned}; starts in {report.startup_ms} ms of CPU time"


def _count(found: list[Complaint], noun: str) -> str:
    return f"{len(found)} {noun}{'s' if len(found) > 1 else ''}"


def _as_json(reports: list[Report]) -> dict[str, Any]:
    return {
        "ok": not any(report.errors for report in reports),
        "workers": [
            {
                "path": str(report.worker.root),
                "main_module": report.worker.main,
                "errors": [_plain(report, each) for each in report.errors],
                "warnings": [_plain(report, each) for each in report.warnings],
                "handlers": report.handlers,
                "startup_ms": report.startup_ms,
            }
            for report in reports
        ],
    }


def _plain(report: Report, complaint: Complaint) -> dict[str, Any]:
    """A complaint for a program; ``line`` and ``column`` count from 1, and 0 says that none is
    known."""
    file = report.worker.source / complaint.module if complaint.module else report.worker.root
    return {
        "file": str(file),
        "line": complaint.line,
        "column": complaint.column,
        "message": complaint.message,
    }
