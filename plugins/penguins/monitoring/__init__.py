"""What the models in Production do: their predictions, from the prediction log."""
