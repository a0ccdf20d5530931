"""Life of an alarm: transition table, reconciliation, store."""
