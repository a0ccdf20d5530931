"""Settings, command line, embedded parts, logging, supervision of processes."""
