"""HTTP for every remote service: one client, deadlines, retries and errors."""
