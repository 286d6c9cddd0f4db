"""What the animal does and gets: corridor, trials, water, and the devices they act through."""
