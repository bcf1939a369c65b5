"""Transfer: connect the caller to a person."""
