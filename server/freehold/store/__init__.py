"""What is kept: tables, transactions, the event log and a repository for each resource."""
