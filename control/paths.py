"""Where things are under the API's base, and how a path finds what it names."""

from cloister.registry import NamespaceView, ScriptView
from control.errors import NAMESPACE_NOT_FOUND, SCRIPT_NOT_FOUND, translated
from control.house import house

API = "/client/v4"
ACCOUNT = "/accounts/<account_id>"
NAMESPACES = f"{ACCOUNT}/workers/dispatch/namespaces"
NAMESPACE = f"{NAMESPACES}/<namespace>"
SCRIPTS = f"{NAMESPACE}/scripts"
SCRIPT = f"{SCRIPTS}/<script>"
HOSTNAMES = f"{ACCOUNT}/workers/dispatch/hostnames"
HOSTNAME = f"{HOSTNAMES}/<hostname>"


def namespace_of(account_id: str, namespace: str) -> NamespaceView:
    """The account's namespace. Raises :class:`Refused` where there is none."""
    with translated(NAMESPACE_NOT_FOUND):
        return house().registry.namespaces.find(account_id, namespace)


def script_of(account_id: str, namespace: str, script: str) -> ScriptView:
    """The namespace's script. Raises :class:`Refused` where there is none."""
    found = namespace_of(account_id, namespace)
    with translated(SCRIPT_NOT_FOUND):
        return house().registry.scripts.get(found.id, script)
