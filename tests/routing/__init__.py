"""Every provider through the real services, from the command to the posted clip."""
