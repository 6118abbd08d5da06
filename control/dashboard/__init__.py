"""The dashboard: pages for people over what the API serves to programs. No script runs in them."""
