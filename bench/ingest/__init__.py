"""How fast ingest drains a broker, beside what others do on the same machine in the same run."""
