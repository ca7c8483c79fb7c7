"""What happened: records, folders of them, and their statistics. Shared by whoever measures and whoever ranks."""
