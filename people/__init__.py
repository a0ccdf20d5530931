"""People, roles and companies: the room is kept free until accounts come."""
