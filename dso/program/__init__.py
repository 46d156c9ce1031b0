"""What was written: programs as arrays, and one program as people read it."""
