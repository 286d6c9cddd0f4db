"""The animals' record: who they are, what they weighed, and every microlitre they were given."""
