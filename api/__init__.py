"""The HTTP interface: one module per noun, and the console."""
