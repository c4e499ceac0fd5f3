"""A chat in which the model calls tools: turn by turn, until it has answered."""
