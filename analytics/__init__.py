"""The checks: pure functions over columns, arrays in, flags out; nothing here reads a clock or a file."""
