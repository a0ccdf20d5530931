"""The five checks as others would write them, each a program of its own for a Python that has the library."""
