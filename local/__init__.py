"""The embedded stack: the services of docker-compose.yaml without Docker.

From a shell: `python -m local COMMAND`. From a test, a stack or a part of it beside the user's own:

    from local.settings import Settings
    from local.stack import Stack

    stack = Stack(Settings.on_free_ports(tmp_path / "state"))
    with stack.running("mlflow"):        # with its dependencies: postgres, init-db, s3
        stack.urls["mlflow"]             # "http://127.0.0.1:…"
        stack.environment                # variables of a task: MLFLOW_TRACKING_URI, AIRFLOW_CONN_PENGUINS_DB, …
        stack.stop("mlflow")             # returns when MLflow has ended
        stack.start("mlflow")            # returns when MLflow is ready
"""
