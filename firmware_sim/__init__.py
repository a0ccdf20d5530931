"""Simulated IC-card and Roots meters that speak the wire format, with labelled faults."""
