"""The prediction service. It follows the model version in Production in MLflow's registry."""
