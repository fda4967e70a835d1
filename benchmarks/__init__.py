"""How fast the operator issues, next to what the API server allows without it; see README.md."""
