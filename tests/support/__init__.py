"""What the tests share: drivers, servers, transports, simulations and the cases of tables."""
