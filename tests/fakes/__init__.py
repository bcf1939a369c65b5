"""Stand-ins for the outside world, reached over a real socket; public, for the tests of other people too."""
