"""Any web service with a key."""
