"""The tenant's API: what ``import workers`` is in a cell.

Tenant code never imports this package; it is given the tables of public names in ``facade``. So
that a plain attribute load is safe, what tenants can hold keeps its state in underscore names.
"""
