"""Measurements of speed; no part of the tests."""
