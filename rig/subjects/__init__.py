"""The record of the animals: their data, their weights, and all water that they were given."""
