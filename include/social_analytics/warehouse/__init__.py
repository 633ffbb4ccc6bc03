"""The schema ``analytics`` in Postgres: its migrations, its writers, and what its errors mean."""
