"""What can only be seen from outside: how fast ingest is, and what survives when its parts are broken."""
