"""The demo world: made by `make run` through the product's own services, and in no other deployment."""
