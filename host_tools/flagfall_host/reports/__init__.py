"""Reports for the fleet office: figures out of the ledger, and pages that show them."""
