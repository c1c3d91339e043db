"""`/admin`: what a server's admins decide; one file for each group of commands."""
