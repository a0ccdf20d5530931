"""The nouns: meter models and ratings, customers, reading columns, flags and units. No I/O."""
