"""Flow version → LangGraph → events; the only importer of langgraph."""
