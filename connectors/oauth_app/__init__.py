"""Any web service with OAuth 2."""
