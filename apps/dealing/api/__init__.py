"""The dealer's page and what it asks over HTTP."""
