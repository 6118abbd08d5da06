"""Wall 2, the kernel: one file per facility, one ordered list of steps."""
