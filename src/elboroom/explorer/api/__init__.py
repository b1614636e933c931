"""The JSON interface: each file has what one view asks for, and what it answers."""
