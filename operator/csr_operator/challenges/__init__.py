"""Answers a CA that connects to see who controls a name (RFC 8555, section 8)."""
