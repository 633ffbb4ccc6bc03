"""The page "Social analytics" in Airflow: what is complete, what needs attention, and the figures."""
