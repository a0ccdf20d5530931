"""The fault harness: real parts are broken in every way of the matrix, and nothing may be lost or doubled."""
