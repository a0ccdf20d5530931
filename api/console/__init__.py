"""The server-rendered web page."""
