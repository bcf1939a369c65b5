"""The screens and their build."""
