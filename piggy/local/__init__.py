"""One machine, one command: set-up, embedded PostgreSQL and Valkey, and the supervisor of `manage.py up`."""
