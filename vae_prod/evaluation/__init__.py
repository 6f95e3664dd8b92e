"""What a trained model is worth, under which protocol, with which verdict."""
