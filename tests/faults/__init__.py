"""The proof of delivery: real processes are killed, frozen and cut off, and three journals are compared."""
