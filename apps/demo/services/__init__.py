"""Seeding the demo brokers (seed, repeatable) and their clients' flow of orders."""
