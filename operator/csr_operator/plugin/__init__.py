"""What a CA backend is, and what it is written with: the API for third parties."""
