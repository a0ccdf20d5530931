"""Whether a battery needs changing."""
