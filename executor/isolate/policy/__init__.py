"""Wall 1, the language: RestrictedPython with our own, default-deny policy."""
