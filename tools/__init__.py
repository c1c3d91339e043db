"""What is run by hand on the code itself."""
