"""The page "Social analytics" in Airflow: what is complete, what is to be cured, and the figures."""
