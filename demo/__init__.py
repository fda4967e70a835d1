"""The first certificate, as a story on the terminal, with real parts only: `make demo`."""
