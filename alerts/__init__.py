"""What findings turn into: alarms, tasks, obligations; and the engine that runs the checks."""
