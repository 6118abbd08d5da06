"""What is deployed: accounts, tokens, namespaces, scripts, versions, KV data.

The control plane writes it; dispatchers and executors read it through :class:`RouteCache`.
"""

from cloister.registry.registry import Registry, open_registry
from cloister.registry.tags import TagFilter
from cloister.registry.views import (
    AccountView,
    Bundle,
    KvKey,
    KvNamespaceView,
    KvPut,
    KvValue,
    NamespaceDetail,
    NamespaceView,
    NewToken,
    NewVersion,
    Numbered,
    OutboundRule,
    Page,
    Route,
    ScriptSummary,
    ScriptView,
    TokenView,
    VersionView,
)

__all__ = [
    "AccountView",
    "Bundle",
    "KvKey",
    "KvNamespaceView",
    "KvPut",
    "KvValue",
    "NamespaceDetail",
    "NamespaceView",
    "NewToken",
    "NewVersion",
    "Numbered",
    "OutboundRule",
    "Page",
    "Registry",
    "Route",
    "ScriptSummary",
    "ScriptView",
    "TagFilter",
    "TokenView",
    "VersionView",
    "open_registry",
]
