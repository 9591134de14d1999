"""The models in Production at work: their predictions, from the prediction log."""
