"""``python -m cloister.cli``: the command `cloister` without its script."""

from cloister.cli import main

main()
