"""Run Rebake on one machine: the container engine, the embedded cloud, Airflow, and the commands for them."""
