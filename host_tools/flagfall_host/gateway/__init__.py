"""The gateway: units that dial in over TLS are pulled, receipted and given what waits for them."""
