"""What `cloister init` writes; its entry.py is also the first start's `hello`."""
