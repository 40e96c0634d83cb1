"""The client's orders, fills and positions over HTTP."""
