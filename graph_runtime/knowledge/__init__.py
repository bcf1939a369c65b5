"""Documents become passages, and a question finds them: reading, splitting, searching, packing."""
