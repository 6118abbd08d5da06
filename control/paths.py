"""Where things are under the API's base, and how a path finds what it names."""

from cloister.registry import NamespaceView, ScriptView, VersionView
from control.errors import (
    NAMESPACE_NOT_FOUND,
    SCRIPT_NOT_FOUND,
    VERSION_NOT_FOUND,
    Problem,
    Refused,
    translated,
)
from control.house import house

API = "/client/v4"
ACCOUNT = "/accounts/<account_id>"
NAMESPACES = f"{ACCOUNT}/workers/dispatch/namespaces"
NAMESPACE = f"{NAMESPACES}/<namespace>"
SCRIPTS = f"{NAMESPACE}/scripts"
SCRIPT = f"{SCRIPTS}/<script>"
PLAIN_SCRIPTS = f"{ACCOUNT}/workers/scripts"
PLAIN_SCRIPT = f"{PLAIN_SCRIPTS}/<script>"
SERVICE = f"{ACCOUNT}/workers/services/<script>"
HOSTNAMES = f"{ACCOUNT}/workers/dispatch/hostnames"
HOSTNAME = f"{HOSTNAMES}/<hostname>"

PLAIN = ""
"""Stands for a namespace's name where Workers are in none: no path has it."""


def namespace_of(account_id: str, namespace: str) -> NamespaceView:
    """The account's namespace. Raises :class:`Refused` where there is none."""
    if namespace == PLAIN:
        return house().registry.namespaces.plain(account_id)
    with translated(NAMESPACE_NOT_FOUND):
        return house().registry.namespaces.find(account_id, namespace)


def script_of(
    account_id: str, namespace: str, script: str, missing: Problem = SCRIPT_NOT_FOUND
) -> ScriptView:
    """The namespace's script. Raises :class:`Refused` with ``missing`` where there is none."""
    found = namespace_of(account_id, namespace)
    with translated(missing):
        return house().registry.scripts.get(found.id, script)


def version_of(view: ScriptView, version_id: str) -> VersionView:
    """A version of the script that is kept. Raises :class:`Refused` where there is none."""
    found = house().registry.versions.get(view.id, version_id)
    if found is None:
        raise Refused(VERSION_NOT_FOUND)
    return found
