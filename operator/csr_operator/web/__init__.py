"""What the process serves by HTTP, and the ports that others connect to."""
