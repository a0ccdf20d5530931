"""Roll-ups in the database, kept up to date from the readings."""
