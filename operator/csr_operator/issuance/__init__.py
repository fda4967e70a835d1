"""Carries one decision out: keys, orders, Secrets, revocations."""
