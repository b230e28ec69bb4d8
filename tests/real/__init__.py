"""Services and files as they really are: headers, tables and statuses of live services."""
