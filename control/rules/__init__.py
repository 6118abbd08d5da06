"""What an upload may say: pure functions over decoded JSON. No request, no registry."""
