"""The DAGs' tasks, one module each: the edge where the package meets Airflow.

A task finds its run, opens its databases and tells Airflow what the outcome means. The DAG files import these
modules only when a task runs, so each imports at its top what it works with.
"""
