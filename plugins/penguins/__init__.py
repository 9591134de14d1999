"""The pipeline's library: from a table of penguins to a model version in Production.

Testable without Airflow: the functions take a database connection, a data frame or an
MLflow client. `dags/` only wires them together.
"""
