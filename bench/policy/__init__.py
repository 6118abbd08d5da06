"""What the language policy costs: see bench/README.md."""
