"""Decoders of other formats, beside the native JSON: bytes in, readings and reasons out; pure."""
