"""The tenant's API: the module that user code imports as ``workers``."""
