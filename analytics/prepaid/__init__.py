"""Balances of prepaid customers, and what the valve has to do with them."""
