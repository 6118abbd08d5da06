"""The only way out of an isolate: what fetch() may reach, and the client that reaches it."""
