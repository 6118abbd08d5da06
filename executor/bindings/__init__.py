"""The host's side of ``env.*``: one file per binding type."""
