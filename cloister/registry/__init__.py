"""What is deployed: accounts, tokens, namespaces, scripts, versions, KV data.

The control plane writes it; dispatchers and executors read it through :class:`RouteCache`.
"""
