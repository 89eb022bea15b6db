"""What files can execute."""
