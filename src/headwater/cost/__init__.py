"""What calls cost: the tokens that were used, prices, and budgets that are shared by many calls."""
