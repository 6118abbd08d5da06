"""Exit codes of the CLI."""

EXIT_OK = 0  # done
EXIT_FAILED = 1  # it did not work; one line on standard error says why
EXIT_USAGE = 2  # wrong options or arguments (click's own code)
EXIT_NOT_FOUND = 3  # the named thing does not exist
EXIT_UNHEALTHY = 4  # something that Cloister needs of this machine is missing
