"""The schema ``analytics`` in Postgres: its migrations and its writers."""
