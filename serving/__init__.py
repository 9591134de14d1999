"""The service: answers predictions with the model version that is in Production in MLflow's registry."""
