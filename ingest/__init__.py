"""From MQTT to committed rows: session, formats, batching, commit, then acknowledge and confirm."""
