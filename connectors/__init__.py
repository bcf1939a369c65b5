"""Everything that speaks to one outside system, one folder each."""
