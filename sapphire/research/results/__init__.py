"""Results: what runs found, in numbers, tables and figures."""
