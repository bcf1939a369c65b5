"""One module per page; a page with a state keeps it beside, in `<page>_state.py`."""
