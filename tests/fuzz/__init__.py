"""Whatever comes, as hypothesis thinks it up: a few examples in `make test`, many new ones in `make fuzz`."""
