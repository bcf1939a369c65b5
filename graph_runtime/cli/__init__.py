"""The command line: starting, supervising and checking the program; imports nothing heavy."""
