"""The screens, and nothing but screens."""
