"""The pipeline's library: from a table of penguins to a model version in Production.

Only the package `airflow` needs Airflow. The other functions take a database connection or a dataset, and `dags/`
wires them together.
"""
