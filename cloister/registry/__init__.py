"""What is deployed: accounts, tokens, namespaces, scripts, versions, custom hostnames, KV data.

The control plane writes it; dispatchers and executors read it through :class:`RouteCache`.
"""

from cloister.registry.cache import RouteCache
from cloister.registry.notes import ChangePublisher, change_publisher
from cloister.registry.registry import Registry, open_registry
from cloister.registry.tags import TagFilter
from cloister.registry.views import (
    AccountView,
    Bundle,
    DatabaseView,
    DeploymentView,
    FallbackView,
    HostnameRoute,
    HostnameView,
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
    "ChangePublisher",
    "DatabaseView",
    "DeploymentView",
    "FallbackView",
    "HostnameRoute",
    "HostnameView",
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
    "RouteCache",
    "ScriptSummary",
    "ScriptView",
    "TagFilter",
    "TokenView",
    "VersionView",
    "change_publisher",
    "open_registry",
]
