"""Rules of the repository itself: imports, files, documents."""
