"""The page about promotions in Airflow's UI."""
