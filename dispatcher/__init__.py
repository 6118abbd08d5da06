"""The front door for tenant traffic: decides which worker gets a request."""
