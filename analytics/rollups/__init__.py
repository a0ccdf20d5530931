"""Roll-ups: one row per meter and local hour or day, pure and mergeable."""
