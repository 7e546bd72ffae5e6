"""The words of the project, its errors, its identities and its registries."""
