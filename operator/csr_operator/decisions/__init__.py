"""What is to be done about an object, and what its status says of that: pure."""
