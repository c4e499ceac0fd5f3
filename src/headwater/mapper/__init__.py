"""`client.map`: many calls at once, in order or as they finish."""
