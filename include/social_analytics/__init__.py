"""Daily analytics for the social accounts that are connected to a Postiz database."""
