"""The command line and the processes it looks after."""
